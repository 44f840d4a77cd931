"""API keys and endpoints managed on the dashboard, through a real browser."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.e2e.browser import browser_page
from tests.e2e.hooked import Hooked, path_of
from tests.e2e.program import until
from tests.e2e.stack import Stack, data_of


async def confirmed(page: Page, label: str) -> None:
    """Press a button that asks first, and say yes."""
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name=label, exact=True).click()


async def status_with(stack: Stack, key: str, path: str = "/api/v3/jobs") -> int:
    answer = await stack.http.get(path, headers={"authorization": f"Bearer {key}"})
    return answer.status_code


async def test_a_key_is_made_shown_once_and_revoked(own_stack: Stack) -> None:
    async with browser_page(own_stack, is_calm=False) as page:
        await page.goto("/keys")
        await page.get_by_label("Name").fill("render <b>farm</b>")
        await page.get_by_label("submit").uncheck()
        await page.get_by_label("Expires after").select_option("7")
        await page.get_by_role("button", name="Make the key").click()
        key = await page.locator("#new-key").inner_text()
        assert await status_with(own_stack, key) == 200
        assert await status_with(own_stack, key, "/api/v3/keys") == 403

        await page.get_by_label("Name").fill("render <b>farm</b>")
        await page.get_by_role("button", name="Make the key").click()
        await expect(page.locator(".is-wrong")).to_contain_text("take another name")
        assert key not in await page.content()

        row = page.get_by_role("row", name="render <b>farm</b>")
        await expect(row).to_contain_text(re.compile(r"in (7 d|6 d 23 h)"))
        page.once("dialog", lambda dialog: dialog.accept())
        await row.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_role("status")).to_contain_text("is revoked")
        await expect(row).to_contain_text("revoked")

    async def is_refused() -> bool:
        return await status_with(own_stack, key) == 401

    await until(is_refused, what="the key to be refused")
    audited = await own_stack.ledger.rows(
        "SELECT action FROM audit WHERE actor LIKE 'dashboard%' ORDER BY id"
    )
    assert [row["action"] for row in audited] == ["create key", "revoke key"]


async def test_an_endpoint_is_added_tried_out_changed_and_removed(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("200")
    async with browser_page(stack, is_calm=False) as page:
        await page.goto("/endpoints")
        await page.get_by_label("Address").fill("ftp://nowhere")
        await page.get_by_role("button", name="Add the endpoint").click()
        await expect(page.locator(".is-wrong")).to_contain_text("must be a public https:// URL")
        await page.get_by_label("Address").fill(f"{receiver.url}{path}?token=hidden")
        await page.get_by_role("button", name="Add the endpoint").click()
        secret = await page.locator("#new-secret").inner_text()
        (made,) = data_of(await stack.http.get("/api/v3/endpoints"))["items"]
        own = f"/api/v3/endpoints/{made['id']}"
        assert data_of(await stack.http.get(f"{own}/secret"))["secret"] == secret
        assert "token=hidden" not in await page.content()

        await page.get_by_role("button", name="Send a test").click()
        await page.wait_for_url("**/deliveries/*")
        await receiver.wait_for(path)
        deliveries = await page.goto("/deliveries")
        assert deliveries is not None
        assert deliveries.ok, "one that is about no job"

        await page.goto(f"/endpoints/{made['id']}")
        await page.get_by_label("Description").fill("the shop's")
        await page.get_by_label("batch.completed").check()
        await page.get_by_role("button", name="Change", exact=True).click()
        changed = data_of(await stack.http.get(own))
        assert (changed["description"], "batch.completed" in changed["events"]) == ("the shop's", True)

        await confirmed(page, "Disable")
        await expect(page.get_by_text("disabled by its owner")).to_be_visible()
        assert data_of(await stack.http.get(own))["enabled"] is False
        await page.get_by_role("button", name="Enable", exact=True).click()
        await confirmed(page, "Rotate secret")
        assert await page.locator("#new-secret").inner_text() != secret
        assert data_of(await stack.http.get(own))["enabled"] is True

        await confirmed(page, "Remove")
        await expect(page.get_by_role("status")).to_contain_text("is removed")
        assert (await stack.http.get(own)).status_code == 404
