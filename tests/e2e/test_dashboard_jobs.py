"""The pages of jobs in a real browser: finding them, all of one job, and doing something to one or many."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Dialog, Page

from orchestrator.ids import new_api_key
from tests.e2e.browser import browser_page, overflow_of
from tests.e2e.program import until
from tests.e2e.stack import Json, Stack, data_of, marked, up_stack
from tests.e2e.test_admin_keys import actions_on, made
from tests.e2e.test_doubt import held

KONTEXT = "/api/v3/wavespeed-ai/flux-kontext-pro"


@pytest.fixture(scope="module")
async def holding() -> AsyncIterator[Stack]:
    """Jobs in doubt wait for a person."""
    async with up_stack(ORCHESTRATOR_IN_DOUBT="hold") as stack:
        yield stack


async def failed(stack: Stack, prompt: str) -> str:
    """A job whose input the provider never takes."""
    job_id = await stack.created(f"{prompt} [fault: fail=1001]")
    assert (await stack.ended(job_id))["phase"] == "failed"
    return job_id


async def rows(page: Page) -> list[str]:
    """The ids of the table's jobs."""
    return [str(await one.get_attribute("id"))[4:] for one in await page.query_selector_all("tr[data-row]")]


async def only_action(stack: Stack) -> Json:
    """The newest action, once it has finished."""

    async def finished() -> Json | None:
        newest: Json = data_of(await stack.http.get("/api/v3/actions"))["items"][0]
        return newest if newest["state"] != "running" else None

    found = await until(finished, what="the action to finish")
    assert found is not None
    return found


async def test_jobs_are_found_by_words_state_and_id_and_text_stays_text(stack: Stack) -> None:
    zebra = await stack.created('a zebra <img src=x onerror="document.title=1"> in snow')
    lost = await failed(stack, "a zebra that fails")
    await stack.ended(zebra)
    async with browser_page(stack) as page:
        await page.goto("/jobs")
        await page.keyboard.press("/")
        await page.keyboard.type("zebra")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/jobs?q=zebra")
        assert await rows(page) == [lost, zebra]
        assert '<img src=x onerror="document.title=1">' in await page.inner_text(f"#row-{zebra}")
        await page.select_option("select[name=phase]", "completed")
        await page.wait_for_url("**phase=completed**")
        assert await rows(page) == [zebra]
        await page.goto(f"/jobs?q={lost[-8:]}")
        assert await rows(page) == [lost]
        await page.click("a[data-row-link]")
        await page.wait_for_url(f"**/jobs/{lost}")
        await page.goto("/jobs?q=no-such-words&phase=failed")
        older = page.locator("a:has-text('Look through older ones')")
        while await older.count():  # other tests may have left more jobs than one page looks through
            await page.goto(str(await older.get_attribute("href")))
        await page.wait_for_selector("h2:has-text('No job matches')")


async def test_selected_jobs_are_retried_as_one_action_by_mouse_and_by_keys(stack: Stack) -> None:
    first, second = await failed(stack, "an owl that fails"), await failed(stack, "an owl that fails")
    untouched = await failed(stack, "an owl that fails")
    async with browser_page(stack) as page:
        await page.goto("/jobs?q=owl&phase=failed")
        await page.check(f"#row-{first} input")
        await page.focus("main")
        for key in ("j", "j", "x"):
            await page.keyboard.press(key)
        assert await page.inner_text(".selection b") == "2 selected"
        await page.click(".selection button:has-text('Retry')")
        await page.wait_for_selector("[role=status]:has-text('2 jobs will be retried')")
        action = await only_action(stack)
        assert (action["verb"], action["done"], action["refused"], action["ids"]) == ("redrive", 2, 0, 2)
        for job_id in (first, second):
            assert (await stack.ended(job_id))["attempt"] == 2
        assert (await stack.job(untouched))["attempt"] == 1
        await page.goto(f"/jobs/{first}")
        told = await page.inner_text(".timeline")
        assert f"Redrive (action {action['id']})" in told
        assert "Ready for another life" in told


async def test_a_selection_is_still_shown_after_one_has_gone_and_come_back(stack: Stack) -> None:
    job_id = await failed(stack, "a crane that fails")
    async with browser_page(stack) as page:
        await page.goto("/jobs?q=crane&phase=failed")
        # As browsers do that keep the page as it was, without an event for the box.
        await page.locator(f"#row-{job_id} input").evaluate("box => { box.checked = true; }")
        await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        await page.wait_for_selector(".selection b:has-text('1 selected')")


async def test_the_keyboard_brings_no_row_under_what_sticks_and_moves_on_dead_letters(stack: Stack) -> None:
    for number in range(30):
        await stack.created(f"row {number} of many")
    await failed(stack, "a lapwing that fails")
    under = """() => { const at = document.querySelector("[data-here]").getBoundingClientRect();
        const bar = document.querySelector(".selection").getBoundingClientRect();
        return Math.max(56 - at.top, at.bottom - bar.top); }"""
    async with browser_page(stack) as page:
        await page.goto("/jobs")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        for _ in range(25):
            await page.keyboard.press("j")
        assert await page.evaluate(under) <= 0
        for _ in range(20):
            await page.keyboard.press("k")
        assert await page.evaluate(under) <= 0
        await page.goto("/dead-letters")
        await page.keyboard.press("j")
        await page.wait_for_selector("section.group[data-here]")


async def test_a_phone_shows_the_age_and_the_reason_and_its_fields_do_not_make_it_zoom(stack: Stack) -> None:
    job_id = await failed(stack, "a plover that fails")
    smallest = "all => Math.min(...all.map(one => parseFloat(getComputedStyle(one).fontSize)))"
    async with browser_page(stack, width=390) as page:
        await page.goto("/jobs?q=plover&phase=failed")
        row = await page.inner_text(f"#row-{job_id}")
        assert "ago" in row
        assert "rejected" in row
        assert await overflow_of(page) <= 0
        for path in ("/jobs", "/keys", "/new?model=x/y", "/new/batch"):
            await page.goto(path)
            fields = page.locator("input:not([type=hidden], [type=checkbox], [type=file]), select, textarea")
            assert await fields.evaluate_all(smallest) >= 16, path


async def test_selected_jobs_can_be_acted_on_without_javascript(stack: Stack) -> None:
    job_id = await failed(stack, "a curlew that fails")
    async with browser_page(stack, has_script=False) as page:
        await page.goto("/jobs?q=curlew&phase=failed")
        assert not await page.locator("[data-select-all]").is_visible()
        await page.check(f"#row-{job_id} input")
        await page.click(".selection button:has-text('Dismiss')")
        await page.wait_for_selector("[role=status]:has-text('1 job will be dismissed')")


async def test_all_that_match_are_done_after_a_question_on_every_page(stack: Stack) -> None:
    jobs = [await failed(stack, "a quagga that fails") for _ in range(2)]
    spared = await failed(stack, "a dodo that fails")
    async with browser_page(stack) as page:
        await page.goto("/jobs?q=quagga&phase=failed&since=24h")
        await page.click("#all summary")
        await page.select_option("#all select[name=verb]", "delete")
        asked: list[str] = []

        async def accept(dialog: Dialog) -> None:
            asked.append(dialog.message)
            await dialog.accept()

        page.once("dialog", accept)
        await page.click("#all button")
        await page.wait_for_selector("[role=status]:has-text('2 jobs will be deleted')")
        assert asked[0].startswith("Delete all 2 failed jobs")
        assert "“quagga”" in asked[0]
    assert (await only_action(stack))["done"] == 2
    for job_id in jobs:
        assert (await stack.http.get(f"/api/v3/jobs/{job_id}")).status_code == 404
    assert (await stack.job(spared))["phase"] == "failed"


async def test_dead_letters_of_a_kind_are_dismissed_together(stack: Stack) -> None:
    job_id = await failed(stack, "a badger that fails")
    kind = (await stack.job(job_id))["fingerprint"]
    async with browser_page(stack, width=390, theme="dark") as page:
        await page.goto("/dead-letters")
        assert await overflow_of(page) <= 0
        group = page.locator(f"#group-{kind}")
        assert "The provider will not take this input" in await group.inner_text()
        await group.locator("button:has-text('Dismiss all')").click()
        await page.wait_for_selector("[role=status]:has-text('be dismissed, in the background')")
        await only_action(stack)
        await page.goto("/dead-letters")
        assert await page.locator(f"#group-{kind}").count() == 0
        await page.goto("/actions")
        assert "dead letters, with failures of kind" in await page.inner_text("tbody tr")
        await page.goto("/jobs")
        assert await overflow_of(page) <= 0
    assert (await stack.job(job_id))["dismissed_at"]
    dead = data_of(await stack.http.get("/api/v3/dead-letters"))["items"]
    assert kind not in {one["fingerprint"] for one in dead}


async def test_a_jobs_page_tells_all_of_it_and_its_buttons_act(stack: Stack) -> None:
    waiting = await stack.created(marked("hold"))
    await stack.in_phase(waiting, "accepted")
    async with browser_page(stack) as page:
        await page.goto(f"/jobs/{waiting}")
        assert "accepted" in await page.inner_text("ol.path")
        page.once("dialog", lambda dialog: dialog.accept())
        await page.click("button:has-text('Cancel')")
        await page.wait_for_selector("[role=status]:has-text('its result is still taken')")
        (task,) = await stack.tasks(waiting)
        await stack.control("finish", id=task["id"])
        await stack.ended(waiting)
        await page.goto(f"/jobs/{waiting}")
        assert "$ORCHESTRATOR_KEY" in await page.inner_text("#curl")
        assert stack.key not in await page.content()
        await page.click("a.zoom")
        await page.wait_for_selector("dialog.large[open] img")
        await page.keyboard.press("Escape")
        page.once("dialog", lambda dialog: dialog.accept())
        await page.click("button:has-text('Delete')")
        await page.wait_for_url("**/jobs")
        await page.wait_for_selector("[role=status]:has-text('Deleted')")
    assert (await stack.http.get(f"/api/v3/jobs/{waiting}")).status_code == 404
    assert await actions_on(stack, waiting) == ["cancel", "delete"]


async def test_a_job_in_doubt_is_decided_on_its_page(holding: Stack) -> None:
    job_id = await held(holding)
    async with browser_page(holding) as page:
        await page.goto("/jobs?doubt=1")
        assert await rows(page) == [job_id]
        await page.wait_for_selector(f"#row-{job_id} .state.tone-doubt")
        await page.goto(f"/jobs/{job_id}")
        await page.wait_for_selector(".job-state .state.tone-doubt")
        await page.fill("input[name=provider_id]", "no-such-task")
        await page.click("button:has-text('This is its task')")
        await page.wait_for_selector("[role=status]:has-text('names no task')")
        await page.fill("input[name=because]", "it is not there")
        await page.click("button:has-text('Fail it')")
        await page.wait_for_selector("[role=status]:has-text('ended as failed')")
        assert "it is not there" in await page.inner_text(".failure")
    ended = await holding.job(job_id)
    assert (ended["phase"], ended["reason"]) == ("failed", "unresolved")
    assert await actions_on(holding, job_id) == ["resolve: fail"]


async def test_who_may_only_read_sees_his_own_and_changes_nothing(stack: Stack) -> None:
    mine = await failed(stack, "a heron that fails")
    reader, stranger = (await made(stack, scopes=["read"]))["key"], new_api_key()
    await stack.ledger.add_tenant(stranger, scopes="read submit")
    async with browser_page(stack, key=reader) as page:
        await page.goto(f"/jobs/{mine}")
        assert await page.locator("main button:has-text('Retry')").count() == 0
        refused = await page.request.post(
            f"/jobs/{mine}/redrive", form={"csrf": await page.input_value("input[name=csrf]")}
        )
        assert "it takes a key that may “submit”" in await refused.text()
    async with browser_page(stack, key=stranger, is_calm=False) as page:
        assert (await page.goto(f"/jobs/{mine}")).status == 404  # type: ignore[union-attr]
        await page.goto("/jobs")
        assert await rows(page) == []
    assert (await stack.job(mine))["attempt"] == 1
