"""What the dashboard's pages say, read without a browser."""

from __future__ import annotations

import re

from orchestrator.ids import new_id
from tests.e2e.bulk import finished
from tests.e2e.logged_in import anonymous, logged_in, new_key
from tests.e2e.stack import FLUX, Stack, data_of


async def test_a_refused_form_says_so_in_its_title_and_first_and_leads_to_the_field(stack: Stack) -> None:
    async with logged_in(stack) as me:
        answer = await me.act(
            "/new", **{"model": FLUX, "version": "v3", "in.prompt": "a boat", "webhook": "nowhere"}
        )
    assert answer.status_code == 422
    assert "<title>Not sent: new job" in answer.text
    banner = re.search(r'<p class="banner trouble".*?</p>', answer.text)
    assert banner
    assert "The job was not sent. Webhook" in banner[0]
    assert re.search(r'<input id="f-webhook"[^>]* autofocus', answer.text)
    assert answer.text.count(" autofocus") == 1


async def test_a_page_that_is_not_there_is_not_looked_for_again(stack: Stack) -> None:
    async with logged_in(stack) as me:
        answer = await me.http.get("/jobs/0123456789abcdef0123456789abcdef")
    assert answer.status_code == 404
    assert "There is no such job." in answer.text
    assert "data-live=" not in answer.text
    assert "Try again" not in answer.text


async def test_a_browser_that_asks_for_nonsense_gets_a_page_and_a_program_json(stack: Stack) -> None:
    async with anonymous(stack) as http:
        asked = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        page = await http.get("/nonsense", headers=asked)
        told = [await http.get("/nonsense"), await http.get("/api/v3/nonsense", headers=asked)]
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page." in page.text
    assert [(one.status_code, one.headers["content-type"]) for one in told] == [(404, "application/json")] * 2


async def test_the_navigation_leads_nobody_to_where_his_key_does_not_let_him(stack: Stack) -> None:
    key = (await new_key(stack, "looks only", "read"))["key"]
    async with logged_in(stack, key) as me:
        first = (await me.http.get("/")).text
        paths = re.findall(r'href="([^"]*)"', first.partition('<nav class="side"')[2].partition("</nav>")[0])
        refused = [path for path in paths if (await me.http.get(path)).status_code != 200]
    assert "/jobs" in paths
    assert refused == []


async def test_lists_of_keys_and_endpoints_are_live_but_not_over_what_is_shown_this_once(
    stack: Stack,
) -> None:
    async with logged_in(stack) as me:
        for path in ("/keys", "/endpoints"):
            assert f'data-live="{path}"' in (await me.http.get(path)).text
        made = await me.act("/keys", name="made here", scope="read")
        refused = await me.act("/endpoints", url="nowhere", event="job.failed", scheme="v1")
    assert "new-key" in made.text
    assert "data-live=" not in made.text
    assert refused.status_code == 400
    assert "data-live=" not in refused.text


async def test_a_search_by_words_says_that_it_is_not_live_and_leads_to_a_new_look(stack: Stack) -> None:
    async with logged_in(stack) as me:
        page = await me.http.get("/jobs?q=zebra&phase=failed")
    assert "data-live=" not in page.text
    assert 'href="/jobs?q=zebra&amp;phase=failed"' in page.text
    assert "Not live" in page.text.partition("<nav")[0]


async def test_a_jobs_page_leads_who_may_send_to_a_form_with_its_input(stack: Stack) -> None:
    job_id = await stack.created("a boat to be changed")
    link = f"/new?like={job_id}"
    reader = (await new_key(stack, "looks about", "read"))["key"]
    async with logged_in(stack) as me, logged_in(stack, reader) as other:
        assert f'href="{link}"' in (await me.http.get(f"/jobs/{job_id}")).text
        assert "a boat to be changed" in (await me.http.get(link)).text
        assert link not in (await other.http.get(f"/jobs/{job_id}")).text


async def test_an_endpoint_that_would_hear_of_nothing_is_refused_in_plain_words(stack: Stack) -> None:
    async with logged_in(stack) as me:
        refused = await me.act("/endpoints", url="https://example.com/hook", scheme="v1")
    assert refused.status_code == 400
    assert "choose at least one" in refused.text
    assert "must be a list" not in refused.text


async def test_a_jobs_facts_print_their_times(stack: Stack) -> None:
    job_id = await stack.created("a boat with a time")
    async with logged_in(stack) as me:
        page = (await me.http.get(f"/jobs/{job_id}")).text
    assert re.search(r"<dt>Stored</dt><dd>.*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</span></dd>", page)


async def test_a_job_held_by_its_batch_says_what_the_batch_waits_for(stack: Stack) -> None:
    body = {"model": "m/x", "inputs": [{"prompt": "a boat of a batch"}], "not_before": "2099-01-01T00:00:00Z"}
    batch = data_of(await stack.http.post("/api/v3/batches", json=body))["id"]
    await stack.http.post(f"/api/v3/batches/{batch}/pause")
    async with logged_in(stack) as me:
        page = (await me.http.get(f"/batches/{batch}")).text
        assert "a boat of a batch" in page
        found = re.search(r'data-row-link href="(/jobs/[0-9a-f]{32})"', page)
        assert found
        assert "which is paused." in (await me.http.get(found[1])).text
    await stack.http.post(f"/api/v3/batches/{batch}/cancel")


async def test_what_may_be_billed_many_times_is_asked_for_once_with_its_number(stack: Stack) -> None:
    bad = {"prompt": f"a boat {new_id(0)} [fault: fail=1001]"}
    body = {"model": FLUX, "inputs": [bad, bad]}
    batch = data_of(await stack.http.post("/api/v3/batches", json=body))["id"]
    await finished(stack, batch)
    async with logged_in(stack) as me:
        assert "2 are sent again, and may be billed" in (await me.http.get(f"/batches/{batch}")).text
        letters = (await me.http.get("/dead-letters")).text
    assert re.search(r'data-ask="Retry all \d+ jobs of this kind\? Each is sent again', letters)
