"""Batches on the dashboard, through a real browser: seen, paused, resumed, retried, cancelled, fetched."""

from __future__ import annotations

import json

from playwright.async_api import Page, expect

from tests.e2e import bulk
from tests.e2e.browser import browser_page
from tests.e2e.stack import Stack, marked


async def state_of(stack: Stack, batch_id: str) -> str:
    return str((await bulk.batch_of(stack, batch_id))["state"])


async def confirm(page: Page, label: str) -> None:
    """Press a button that asks first, and say yes."""
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name=label).click()


async def test_a_batch_is_paused_resumed_and_cancelled(own_stack: Stack) -> None:
    await own_stack.ledger.pause_lanes()
    batch = await bulk.sent(own_stack, bulk.lines_of(3), name="Spring <b>catalogue</b>")
    async with browser_page(own_stack) as page:
        await page.goto("/batches")
        await page.get_by_role("link", name="Spring <b>catalogue</b>").click()
        await expect(page.get_by_text("Its jobs wait: a test")).to_be_visible()

        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_role("status")).to_contain_text("The batch is paused")
        assert await state_of(own_stack, batch["id"]) == "paused"

        await page.get_by_role("button", name="Resume").click()
        await expect(page.get_by_role("status")).to_contain_text("The batch goes on")
        assert await state_of(own_stack, batch["id"]) == "running"

        page.once("dialog", lambda dialog: dialog.dismiss())
        await page.get_by_role("button", name="Cancel").click()
        assert await state_of(own_stack, batch["id"]) == "running"

        await confirm(page, "Cancel")
        await expect(page.get_by_role("status")).to_contain_text("is being cancelled")
        await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    await bulk.batch_when(own_stack, batch["id"], lambda one: one["state"] == "cancelled")
    orders = await own_stack.ledger.rows("SELECT actor, action FROM audit WHERE object = :id", id=batch["id"])
    assert [one["action"] for one in orders] == ["batch.pause", "batch.resume", "batch.cancel"]
    assert all(one["actor"].startswith("dashboard, key ") for one in orders)


async def test_failures_are_grouped_and_the_jobs_of_one_group_are_retried(own_stack: Stack) -> None:
    refused = marked("refuse=400", "times=1")
    lines = [bulk.line(), bulk.line(refused, custom_id="refused"), bulk.line(marked("fail=1403")), "no json"]
    batch = await bulk.sent(own_stack, lines, mode="partial")
    before = await bulk.finished(own_stack, batch["id"])
    assert (before["counts"]["failed"], len(before["failures"])) == (2, 2)
    kind = await own_stack.ledger.one("SELECT fingerprint FROM jobs WHERE custom_id = 'refused'")
    (told,) = [one["message"] for one in before["failures"] if one["fingerprint"] == kind]
    async with browser_page(own_stack) as page:
        await page.goto(f"/batches/{batch['id']}?show=gallery")
        await expect(page.get_by_label("Table of rejected lines").locator("tbody tr")).to_have_count(1)
        await expect(page.get_by_role("img", name="Output of line 1")).to_be_visible()

        group = page.get_by_label("Table of failures").get_by_role("row", name=told)
        await group.get_by_role("link").click()
        await expect(page.get_by_text("only failures of one kind")).to_be_visible()
        await expect(
            page.get_by_label("Jobs", exact=True).get_by_text("refused", exact=False)
        ).to_be_visible()
        await group.get_by_role("button", name="Retry these").click()

        await expect(page.get_by_role("status")).to_contain_text("sent again")
        assert "fingerprint=" in page.url
    after = await bulk.batch_when(
        own_stack, batch["id"], lambda one: one["counts"]["completed"] == 2 and one["state"] == "completed"
    )
    assert after["failures"] == [one for one in before["failures"] if one["fingerprint"] != kind]


async def test_results_are_downloaded_with_the_session_alone(stack: Stack) -> None:
    batch = await bulk.sent(stack, bulk.lines_of(2))
    await bulk.finished(stack, batch["id"])
    async with browser_page(stack) as page:
        await page.goto(f"/batches/{batch['id']}")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="JSONL").click()
        lines = (await (await download.value).path()).read_text().splitlines()
        async with page.expect_download() as table:
            await page.get_by_role("link", name="CSV", exact=True).click()

        assert [json.loads(line)["custom_id"] for line in lines] == ["line-1", "line-2"]
        assert (await table.value).suggested_filename == f"batch-{batch['id'][-8:]}.csv"
