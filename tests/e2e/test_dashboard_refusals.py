"""What the dashboard's pages do not tell, do not start, and do not do twice."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.async_api import Route

from orchestrator.ids import new_id
from orchestrator.store.lanes import HIDDEN_TROUBLE
from tests.e2e import bulk
from tests.e2e.browser import browser_page
from tests.e2e.logged_in import LoggedIn, anonymous, logged_in
from tests.e2e.stack import FLUX, Stack, up_stack

TROUBLE = "the balance of this account is 3 cents"
CHECKED = '{"input": {"prompt": "one"}}\n{"input": {"prompt": "two"}}'
CHOSEN_LATER = '{"input": {"prompt": "never checked"}}'
_ONCE = re.compile(r'name="once" value="([0-9a-f]{32})"')


async def test_the_providers_words_on_the_account_are_for_its_own_tenant_alone(own_stack: Stack) -> None:
    theirs = (await bulk.new_tenant(own_stack))["authorization"].removeprefix("Bearer ")
    await own_stack.ledger.change("UPDATE accounts SET trouble = :words, trouble_at = 1", words=TROUBLE)
    async with logged_in(own_stack) as mine, logged_in(own_stack, theirs) as other:
        assert TROUBLE in (await mine.http.get("/")).text
        page = (await other.http.get("/")).text
    assert (TROUBLE in page, HIDDEN_TROUBLE in page) == (False, True)
    await own_stack.ledger.change("UPDATE accounts SET trouble = NULL, trouble_at = NULL")


async def sent(me: LoggedIn, *, once: str, lines: str, file: str = "", again: str = "") -> httpx.Response:
    """The form of a batch whose lines were checked; with another file that was chosen since."""
    files = {"file": ("later.jsonl", file.encode())} if file else None
    form = {"csrf": me.csrf, "step": "start", "lines": lines, "model": FLUX, "mode": "atomic"}
    form |= {"once": once, "again": again}
    return await me.http.post("/new/batch", data=form, files=files)


async def test_a_file_that_was_chosen_after_the_check_is_checked_and_not_started(own_stack: Stack) -> None:
    async with logged_in(own_stack) as me:
        answer = await sent(me, once=new_id(0), lines=CHECKED, file=CHOSEN_LATER)
        assert (answer.status_code, "never checked" in answer.text) == (200, True)
    assert await own_stack.ledger.count_jobs() == 0


async def test_a_file_is_started_once_from_one_page_and_again_only_if_it_is_meant(own_stack: Stack) -> None:
    async with logged_in(own_stack) as me:
        pages = [(await me.http.get("/new/batch")).text for _ in range(2)]
        first, second = (str(found[1]) for page in pages if (found := _ONCE.search(page)))
        places = [(await sent(me, once=first, lines=CHECKED)).headers["location"] for _ in range(2)]
        assert places[0] == places[1]
        asked = await sent(me, once=second, lines=CHECKED)
        told = f'You have sent this file before, <time[^>]*>[^<]*</time>: <a href="{places[0]}">'
        assert (asked.status_code, bool(re.search(told, asked.text))) == (200, True)
        assert await own_stack.ledger.count_jobs() == 2
        again = await sent(me, once=second, lines=CHECKED, again="1")
        assert again.headers["location"] not in places
        other = await sent(me, once=new_id(0), lines=CHOSEN_LATER)
        assert other.headers["location"] not in (*places, again.headers["location"])
    assert await own_stack.ledger.count_jobs() == 5


async def test_a_form_with_a_file_that_is_sent_twice_makes_one_job(own_stack: Stack) -> None:
    async with logged_in(own_stack) as me:
        once = new_id(0)
        form = {"csrf": me.csrf, "once": once, "model": FLUX, "version": "v3", "in.prompt": "a boat"}
        files = {"file.image": ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")}
        places = [(await me.http.post("/new", data=form, files=files)).headers["location"] for _ in range(2)]
    assert places[0] == places[1]
    assert await own_stack.ledger.count_jobs() == 1


@pytest.mark.parametrize("host", ["10.0.0.5:8080", "localhost:8080"])
async def test_behind_https_nobody_logs_in_past_it(host: str) -> None:
    async with (
        up_stack(PUBLIC_URL="https://orchestrator.example") as stack,
        anonymous(stack, host=host) as http,
    ):
        refused = await http.post("/login", data={"key": stack.key})
        assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)


async def test_a_page_outlives_a_moment_without_the_database(own_stack: Stack) -> None:
    async def busy(route: Route) -> None:
        await route.fulfill(status=503, content_type="text/html", body='<main id="view">busy</main>')

    async with browser_page(own_stack, is_calm=False) as page:
        await page.goto("/jobs")
        await page.wait_for_selector("[data-state=live]")
        async with page.expect_response(lambda answer: answer.status == 503):
            await page.route("**/jobs", busy)
            await own_stack.created("while the database is away")
        assert await page.get_attribute("#view", "data-live") == "/jobs"
        await page.unroute("**/jobs")
        later = await own_stack.created("after it is back")
        await page.wait_for_selector(f"a[href='/jobs/{later}']")
