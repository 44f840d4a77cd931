"""Every view as long as nothing is there, as it fills by itself, and while its server or database is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, Request, expect

from tests.e2e.browser import browser_page, chromium, log_in
from tests.e2e.dashboard import filled
from tests.e2e.hooked import hooked_split
from tests.e2e.listening import listening
from tests.e2e.logged_in import new_key
from tests.e2e.program import until
from tests.e2e.stack import Stack, data_of, up_stack
from tests.services.postgres import PostgresProcess

PATIENCE_MS = 30_000
IN_A_CONTEXT = 4
DATABASE_AWAY = "The server cannot reach its database."
A_STORED_ACTION = {"verb": "cancel", "filter": {"phase": "held"}}
DEFECT = "The server could not make this page (500)."
SERVER_AWAY = "The server does not answer."


@dataclass(frozen=True)
class View:
    """`empty` is what it says on the first day, `full` what stands there once something has happened."""

    path: str
    empty: tuple[str, ...]
    full: str = "tr[data-row]"


VIEWS = (
    View("/", ("Nothing is wrong.", "No job yet", "send a first job from here"), "h2:text('Newest results')"),
    View("/jobs", ("No job yet", "as soon as a client or a batch has sent some", "New job")),
    View("/actions", ("No action yet", "Go to the jobs")),
    View("/dead-letters", ("No dead letters", "it appears here with what to do about it"), "section.group"),
    View("/batches", ("No batch yet", "New batch")),
    View("/lanes", ("Account wavespeed", "wavespeed/video", "jobs to be sent"), ".lane:has-text('paused')"),
    View("/lanes/wavespeed/video", ("Nothing has ended yet", "or send a job"), ".state:text('paused')"),
    View("/callbacks", ("No callback in the last hour", "Send a job"), ".state:text('applied')"),
    View("/deliveries", ("No delivery yet", "?webhook=", "Add an endpoint")),
    View("/fairness", ("has the whole account to itself", "POST /api/v3/tenants"), "tr[data-row] + tr"),
    View("/system", ("works", "Nobody has changed anything yet"), "b:text('add tenant')"),
    View("/endpoints", ("No endpoint yet", "New endpoint"), ""),
    View("/keys", ("first key", "New key"), ""),
    View("/new", ("Find a model", "New batch"), ""),
    View("/new/batch", ("Choose a file", "nothing is sent before you start it"), ""),
)


@asynccontextmanager
async def open_pages(browser: Browser, stack: Stack, paths: Sequence[str]) -> AsyncIterator[list[Page]]:
    """A page each, a few in a context: a browser keeps few connections to a server."""
    async with AsyncExitStack() as opened:

        async def opened_at(paths: Sequence[str]) -> list[Page]:
            context = await browser.new_context(base_url=stack.url)
            opened.push_async_callback(context.close)
            pages = [await context.new_page()]
            await log_in(pages[0], stack.key)
            pages += [await context.new_page() for _ in paths[1:]]
            await asyncio.gather(*(page.goto(path) for page, path in zip(pages, paths, strict=True)))
            return pages

        groups = [paths[at : at + IN_A_CONTEXT] for at in range(0, len(paths), IN_A_CONTEXT)]
        yield [page for group in await asyncio.gather(*map(opened_at, groups)) for page in group]


async def of_all(pages: Sequence[Page], check: Callable[[Page], Awaitable[None]]) -> None:
    """What does not hold is told of every page, not of the first alone."""
    found = await asyncio.gather(*(check(page) for page in pages), return_exceptions=True)
    faults = {page.url: str(one) for page, one in zip(pages, found, strict=True) if one is not None}
    assert not faults, faults


async def is_empty(page: Page, view: View) -> None:
    """It tells what would be there, and what to do."""
    if urlsplit(page.url).path != view.path:
        await page.goto(view.path)
    told = " ".join((await page.inner_text("main")).split())
    assert [words for words in view.empty if words not in told] == [], f"{view.path}: {told}"


async def is_full(page: Page) -> None:
    (sign,) = {view.full for view in VIEWS if view.path == urlsplit(page.url).path}
    await expect(page.locator(f"main >> {sign}").first).to_be_visible(timeout=PATIENCE_MS)


async def is_live(page: Page) -> None:
    await expect(page.locator("[data-state=live]")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator("[data-lost]")).to_be_hidden(timeout=PATIENCE_MS)


async def tells(page: Page, words: str) -> None:
    """That what it shows is old, and why; and it still shows it."""
    await expect(page.locator("[data-lost]")).to_contain_text(words, timeout=PATIENCE_MS)
    await expect(page.locator("[data-lost]")).to_contain_text("this page tries again by itself")
    await expect(page.locator("[data-state=lost]")).to_contain_text("Not live")
    await expect(page.locator("main h1")).to_be_visible()


async def every_page_is_there(page: Page, paths: Sequence[str]) -> None:
    for path in (*paths, "/?period=24h", "/jobs?q=done", "/jobs?phase=failed", "/"):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == 200, path


async def pauses_hold(pages: Sequence[Page], stack: Stack) -> None:
    """None asks for anything while it is paused; all catch up when they go on."""
    asked: list[str] = []
    for page in pages:
        await page.keyboard.press("p")
        await page.wait_for_selector("[data-state=paused]")
        page.on("request", lambda request: asked.append(request.url) if is_look(request) else None)
    await stack.ended(await stack.created())
    async with listening(stack) as stream:  # whoever is not paused has heard of it before us
        await stack.ended(await stack.created())
        await stream.until("job.completed")
    assert asked == []
    for page in pages:
        await page.keyboard.press("p")

    async def all_have_looked() -> bool:
        return len(set(asked)) == len(pages)

    await until(all_have_looked, what="every page to go on")


def is_look(request: Request) -> bool:
    return "hx-request" in request.headers


async def test_a_page_whose_query_fails_says_so_keeps_what_it_shows_and_recovers() -> None:
    async with up_stack() as stack, browser_page(stack, is_calm=False) as page:
        await page.goto("/system")
        await is_live(page)
        await stack.ledger.change("ALTER TABLE audit RENAME TO audit_away")
        await tells(page, DEFECT)
        refused = await page.request.get("/system")
        assert (refused.status, "Something went wrong on this server" in await refused.text()) == (500, True)
        await stack.ledger.change("ALTER TABLE audit_away RENAME TO audit")
        await is_live(page)


async def test_a_page_whose_session_has_ended_says_so_and_leads_to_the_login(stack: Stack) -> None:
    made = await new_key(stack, "ends while a page is open", "read")
    async with browser_page(stack, key=made["key"], is_calm=False) as page:
        await page.goto("/jobs?phase=failed")
        await is_live(page)
        data_of(await stack.http.post(f"/api/v3/keys/{made['id']}/revoke"))
        await stack.created("so that there is something new")
        await expect(page.locator("[data-lost]")).to_contain_text("You are logged out.", timeout=PATIENCE_MS)
        await page.get_by_role("link", name="Log in").click()
        await page.wait_for_url("**/login?next=%2Fjobs%3Fphase%3Dfailed")


async def test_every_view_is_empty_fills_itself_and_outlives_its_database_and_its_server(
    own_postgres: PostgresProcess, new_valkey_url: Callable[[], str]
) -> None:
    split = hooked_split(database_url=own_postgres.url, redis_url=new_valkey_url())
    async with split as hooked, chromium() as browser:
        stack, _ = hooked
        async with open_pages(browser, stack, [view.path for view in VIEWS if view.full]) as live:
            for view in VIEWS:
                page = next((page for page in live if urlsplit(page.url).path == view.path), live[-1])
                await is_empty(page, view)
            await live[-1].goto("/system")
            await of_all(live, is_live)
            async with filled(nullcontext(hooked)) as full:
                await stack.http.post("/api/v3/actions", json=A_STORED_ACTION)
                await of_all(live, is_full)

                await every_page_is_there(live[0], full.paths)
            await pauses_hold(live, stack)

            for page, name in zip(live, ("jobs", "batches", "deliveries"), strict=False):
                await page.goto(f"/{name}/{full.ids[name]}")
            own_postgres.kill()
            await of_all(live, lambda page: tells(page, DATABASE_AWAY))
            away = await live[0].goto("/batches")
            assert away is not None
            assert (away.status, "and so does this page" in await live[0].inner_text("main")) == (503, True)
            ordered = {"referer": f"{stack.url}/batches?before=1"}
            refused = await live[0].request.post("/batches/none/pause", headers=ordered)
            assert 'href="/batches?before=1">Back</a>' in await refused.text()
            own_postgres.restart()
            await of_all(live, is_live)
            await stack.servers[0].kill()
            await of_all(live, lambda page: tells(page, SERVER_AWAY))
            await stack.servers[0].start()
            await of_all(live, is_live)
