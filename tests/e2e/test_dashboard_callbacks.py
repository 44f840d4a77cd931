"""The page of callbacks in a real browser: what was not believed, and a provider that has gone silent."""

from __future__ import annotations

import time

import httpx

from tests.e2e.browser import browser_page
from tests.e2e.stack import Stack

FORGED = '{"id": "forged", "outputs": ["<script>alert(1)</script>"]}'


async def test_a_forged_callback_is_shown_as_text_with_its_verdict_and_its_job(stack: Stack) -> None:
    job_id = await stack.created()
    await stack.ended(job_id)
    (task,) = await stack.tasks(job_id)
    async with httpx.AsyncClient() as forger:
        answer = await forger.post(task["webhook"], content=FORGED)
    assert answer.status_code == 200
    async with browser_page(stack) as page:
        await page.goto("/callbacks")
        row = page.locator("tr", has=page.locator(f"a[href='/jobs/{job_id}']"))
        assert await row.locator(".state").inner_text() == "unsigned"
        assert await row.locator("code").inner_text() == FORGED
        assert await page.locator("main script").count() == 0


async def test_a_provider_that_has_gone_silent_is_told_with_what_to_check(own_stack: Stack) -> None:
    now = int(time.time() * 1_000)
    async with browser_page(own_stack) as page:
        await page.goto("/callbacks")
        assert "gone silent" not in await page.inner_text("main")
        await own_stack.ledger.change(
            "UPDATE lanes SET callback_at = :then, found_by_poll_at = :now WHERE id = 'wavespeed/video'",
            then=now - 7_200_000,
            now=now - 60_000,
        )
        await page.reload()
        told = await page.inner_text(".silent")
    assert "The provider has gone silent on wavespeed/video. The last callback came 2 h ago" in told
    assert "nothing is lost" in told
    assert f"{own_stack.url}/health" in told
