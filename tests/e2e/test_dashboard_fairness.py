"""The pages of fairness and of the system in a real browser: terms of tenants, and what stays hidden."""

from __future__ import annotations

from orchestrator.ids import new_api_key
from tests.e2e.browser import browser_page
from tests.e2e.stack import PROVIDER_KEY, Stack
from tests.e2e.test_admin_keys import actions_on


async def test_an_operator_gives_a_tenant_another_weight_and_limits_and_takes_one_back(stack: Stack) -> None:
    name = await stack.ledger.add_tenant(new_api_key(), max_queued=9)
    form = f"form[action='/fairness/{name}']"
    async with browser_page(stack) as page:
        await page.goto("/fairness")
        await page.fill(f"{form} input[name=weight]", "2.5")
        await page.fill(f"{form} input[name=max_in_flight]", "4")
        await page.fill(f"{form} input[name=max_queued]", "")
        await page.click(f"{form} button")
        await page.wait_for_selector(f"[role=status]:has-text('{name} is changed')")
    (row,) = await stack.ledger.rows(
        "SELECT weight, max_in_flight, max_queued FROM tenants WHERE name = :name", name=name
    )
    assert row == {"weight": 2.5, "max_in_flight": 4, "max_queued": None}
    assert await actions_on(stack, name) == ["change tenant: weight 2.5, max_in_flight 4, max_queued None"]


async def test_a_tenant_sees_its_own_standing_and_audit_and_nothing_of_the_others(stack: Stack) -> None:
    key = new_api_key()
    name = await stack.ledger.add_tenant(key, scopes="read")
    async with browser_page(stack, key=key) as page:
        await page.goto("/fairness")
        assert await page.locator("tbody tr").count() == 1
        assert name in await page.inner_text("tbody")
        assert await page.locator("main form").count() == 0
        await page.goto("/system")
        told = await page.inner_text("main")
    assert "Nobody has changed anything yet" in told
    assert "Settings that matter" not in told


async def test_the_system_shows_its_processes_and_database_and_no_secret(stack: Stack) -> None:
    async with browser_page(stack) as page:
        await page.goto("/system")
        told, source = await page.inner_text("main"), await page.content()
    assert "works" in told
    assert "SQLite" in told
    assert "every event is counted" in told or "behind" in told
    assert "WAVESPEED_BASE_URL" in source
    assert PROVIDER_KEY not in source
    assert stack.key not in source
