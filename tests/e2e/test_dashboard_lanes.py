"""The pages of lanes in a real browser: an operator's orders count at once, and nobody else can give them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orchestrator.ids import new_api_key
from tests.e2e.browser import browser_page
from tests.e2e.stack import Stack
from tests.e2e.test_admin_keys import actions_on

LANE = "/lanes/wavespeed/image"


@pytest.fixture
async def calm(stack: Stack) -> AsyncIterator[Stack]:
    """The shared stack, whose lanes are as the settings have them afterwards."""
    yield stack
    await stack.http.post("/api/v3/lanes/wavespeed/image/resume")
    await stack.http.patch("/api/v3/lanes/wavespeed/image", json={"per_minute": None})
    await stack.http.patch("/api/v3/accounts/wavespeed", json={"max_in_flight": None})


async def limits(stack: Stack) -> tuple[int, int]:
    """Of images a minute, and of tasks at a time."""
    rate = await stack.ledger.one("SELECT per_minute FROM lanes WHERE id = 'wavespeed/image'")
    slots = await stack.ledger.one("SELECT max_in_flight FROM accounts WHERE id = 'wavespeed'")
    return int(rate), int(slots)


async def test_a_lane_is_paused_with_a_reason_and_resumed(calm: Stack) -> None:
    async with browser_page(calm) as page:
        await page.goto(LANE)
        await page.fill("input[name=because]", "the <b>invoice</b> is looked at")
        await page.select_option("select[name=seconds]", "3600")
        await page.click("main button:has-text('Pause')")
        await page.wait_for_selector("[role=status]:has-text('is paused for 1 h')")
        assert "the <b>invoice</b> is looked at. It goes on in" in await page.inner_text("main")
        waiting = await calm.created()
        await calm.in_phase(waiting, "ready")
        await page.goto("/lanes")
        await page.click("main button:has-text('Resume')")
        await page.wait_for_selector("[role=status]:has-text('is resumed')")
        await calm.ended(waiting)
    *_, paused, resumed = await actions_on(calm, "wavespeed/image")
    assert (paused, resumed) == ("pause lane: the <b>invoice</b> is looked at", "resume lane")
    actor = await calm.ledger.one("SELECT actor FROM audit WHERE action = 'resume lane' ORDER BY id DESC")
    assert actor.startswith("dashboard, key ")


async def test_limits_are_set_and_given_back_to_the_settings(calm: Stack) -> None:
    usual = await limits(calm)
    async with browser_page(calm) as page:
        await page.goto(LANE)
        await page.fill("input[name=per_minute]", "7")
        await page.click("main button:has-text('Set')")
        await page.wait_for_selector("[role=status]:has-text('is now 7 a minute')")
        await page.goto("/lanes")
        await page.fill("input[name=max_in_flight]", "3")
        await page.click("main button:has-text('Set')")
        await page.wait_for_selector("[role=status]:has-text('is now 3 at a time')")
        assert await limits(calm) == (7, 3)
        await page.click("main button:has-text('Back to the settings')")
        await page.wait_for_selector("[role=status]:has-text('what the settings say')")
        await page.goto(LANE)
        await page.click("main button:has-text('Back to the settings')")
        await page.wait_for_selector("[role=status]:has-text('what the settings say')")
    assert await limits(calm) == usual


async def test_another_tenants_admin_sees_the_lane_without_its_orders_and_cannot_give_any(
    calm: Stack,
) -> None:
    key = new_api_key()
    await calm.ledger.add_tenant(key, scopes="admin read submit")
    mine = await calm.created()
    await calm.ended(mine)
    async with browser_page(calm, key=key) as page:
        await page.goto(LANE)
        assert await page.locator("main form").count() == 0
        assert "0 of 0" in await page.inner_text("section.strip")
        csrf = await page.input_value("input[name=csrf] >> nth=0")
        answer = await page.request.post(f"{LANE}/pause", form={"csrf": csrf, "back": LANE})
        assert "Only the operator may do that" in await answer.text()
    assert await calm.ledger.one("SELECT stopped_until FROM lanes WHERE id = 'wavespeed/image'") == 0
