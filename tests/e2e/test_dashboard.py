"""All views of the dashboard, in a real browser: nothing stored in them runs, everybody can read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from playwright.async_api import Page, Request

from tests.e2e.browser import browser_page, cut_tables_of, faults_of, overflow_of
from tests.e2e.dashboard import EVIL, Filled, filled
from tests.e2e.stack import marked

MOST_BYTES = 200_000


@pytest.fixture(scope="module")
async def full() -> AsyncIterator[Filled]:
    async with filled() as found:
        yield found


async def test_nothing_that_is_stored_runs_on_any_page(full: Filled) -> None:
    async with browser_page(full.stack) as page:
        for path in full.paths:
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            assert await page.evaluate("window.ran") is None, path
            assert await page.locator("img[src='x']").count() == 0, path
        await page.goto(f"/jobs/{full.ids['jobs']}")
        assert EVIL in await page.inner_text("main")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 900, 1024, 1440])
async def test_every_page_and_every_table_fits_its_window(full: Filled, width: int, theme: str) -> None:
    async with browser_page(full.stack, width=width, theme="dark" if theme == "dark" else "light") as page:
        wide = {}
        for path in full.paths:
            await page.goto(path)
            if await overflow_of(page) > 0 or await cut_tables_of(page):
                wide[path] = (await overflow_of(page), await cut_tables_of(page))
        assert not wide


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_no_page_has_a_serious_fault_of_accessibility(full: Filled, theme: str) -> None:
    async with browser_page(full.stack, theme="dark" if theme == "dark" else "light") as page:
        faults = {}
        for path in full.paths:
            await page.goto(path)
            if found := await faults_of(page):
                faults[path] = found
        assert not faults


async def test_every_page_reads_without_javascript(full: Filled) -> None:
    async with browser_page(full.stack, has_script=False) as page:
        for path in full.paths:
            await page.goto(path)
            assert await page.locator("main h1").first.is_visible(), path


async def test_a_page_weighs_less_than_its_promise(full: Filled) -> None:
    async with browser_page(full.stack) as page:
        for path in full.paths:
            assert await weight_of(page, full.stack.url, path) <= MOST_BYTES, path


async def weight_of(page: Page, base: str, path: str) -> int:
    """All that it takes from this server for the first time, as it is sent; pictures are the provider's."""
    taken: set[str] = set()

    def note(request: Request) -> None:
        taken.add(request.url)

    page.on("request", note)
    await page.goto(path)
    page.remove_listener("request", note)
    own = [url for url in taken if url.startswith(base) and "/live" not in url]
    return sum([int((await page.request.get(url)).headers["content-length"]) for url in own])


@pytest.mark.parametrize(("asked", "packed"), [("gzip, br", "gzip"), ("identity", None)])
async def test_a_file_of_a_page_is_kept_by_the_browser_and_compressed_if_it_likes(
    full: Filled, asked: str, packed: str | None
) -> None:
    answer = await full.stack.http.get("/static/dashboard.js?hash", headers={"accept-encoding": asked})
    assert (answer.status_code, answer.headers.get("content-encoding")) == (200, packed)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert "use strict" in answer.text


@pytest.mark.parametrize("path", ["none.js", "", "..%2ftemplates%2fbase.html", "%2fetc%2fpasswd", "vendor"])
async def test_nothing_else_is_among_those_files(full: Filled, path: str) -> None:
    assert (await full.stack.http.get(f"/static/{path}")).status_code == 404


async def test_a_page_shows_by_itself_what_happens(full: Filled) -> None:
    async with browser_page(full.stack) as page:
        await page.goto("/jobs")
        await page.wait_for_selector("[data-state=live]")
        job = await full.stack.created("made while somebody looks")
        await page.wait_for_selector(f"a[href='/jobs/{job}']")
        await page.keyboard.press("p")
        await page.wait_for_selector("[data-state=paused]")
        later = await full.stack.created("made while it is paused")
        await full.stack.ended(later)
        assert await page.locator(f"a[href='/jobs/{later}']").count() == 0
        await page.keyboard.press("p")
        await page.wait_for_selector(f"a[href='/jobs/{later}']")


async def test_a_page_waits_for_who_types_and_says_so_but_not_for_a_resting_mouse(full: Filled) -> None:
    job = await full.stack.created(marked("hold"))
    await full.stack.in_phase(job, "accepted")
    async with browser_page(full.stack) as page:
        await page.goto(f"/jobs/{job}")
        await page.context.grant_permissions(["clipboard-write"])
        await page.click("[data-copy='#job-id']")
        (task,) = await full.stack.tasks(job)
        await full.stack.control("finish", id=task["id"])
        await page.wait_for_selector(".job-state:has-text('completed')")
        await page.goto("/jobs")
        await page.wait_for_selector("[data-state=live]")
        await page.focus("input[name=model]")
        later = await full.stack.created("made while somebody types")
        await page.wait_for_selector("[data-state=held]:has-text('Waiting')")
        assert await page.locator(f"a[href='/jobs/{later}']").count() == 0
        await page.focus("main")
        await page.wait_for_selector(f"a[href='/jobs/{later}']")
        await page.wait_for_selector("[data-state=live]")


async def test_what_is_typed_into_a_live_page_outlives_its_updates(full: Filled) -> None:
    async with browser_page(full.stack) as page:
        await page.goto("/keys")
        await page.fill("input[name=name]", "a new program")
        await page.check("input[value=admin]")
        await page.select_option("select[name=days]", "7")
        await page.focus("main")
        await page.evaluate("document.addEventListener('htmx:after:swap', () => document.body.id = 'new')")
        await full.stack.created("made while a form is half filled in")
        await page.wait_for_selector("body#new")
        assert await page.input_value("input[name=name]") == "a new program"
        assert await page.is_checked("input[value=admin]")
        assert await page.input_value("select[name=days]") == "7"


async def test_a_notice_holds_no_update_back(full: Filled) -> None:
    job = await full.stack.created("one more [fault: status=400]")
    await full.stack.ended(job)
    async with browser_page(full.stack) as page:
        await page.goto(f"/jobs/{job}")
        await page.click("button:has-text('Dismiss')")
        await page.wait_for_selector("[data-notice]")
        assert (await full.stack.http.post(f"/api/v3/jobs/{job}/redrive")).status_code == 200
        await page.wait_for_selector(".timeline:has-text('another life')", timeout=5_000)
        assert await page.locator("[data-notice]").count() == 1
    await full.stack.ended(job)


async def test_a_page_is_brought_up_to_date_once_a_second_however_much_happens(full: Filled) -> None:
    asked: list[Request] = []
    async with browser_page(full.stack) as page:
        await page.goto("/jobs")
        await page.wait_for_selector("[data-state=live]")
        page.on("request", lambda one: asked.append(one) if "hx-request" in one.headers else None)
        while len(asked) < 5:
            await full.stack.created("one of many")
            await asyncio.sleep(0.05)  # no faster than the lane sends them, or others would wait behind them
        began = [one.timing["startTime"] for one in asked[:-1]]  # the last is not answered yet
    assert min(later - earlier for earlier, later in pairwise(began)) > 700


async def test_the_keyboard_finds_selects_and_opens(full: Filled) -> None:
    async with browser_page(full.stack) as page:
        await page.goto("/jobs")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        assert await page.locator("[data-here] input:checked").count() == 1
        second = await page.locator("[data-row] [data-row-link]").nth(1).get_attribute("href")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{second}")
        await page.keyboard.press("?")
        assert await page.locator("dialog#keys").is_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.id") == "find"
