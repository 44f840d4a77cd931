"""What no other test of the dashboard presses: each button by a click, through to what it changes."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e import bulk
from tests.e2e.browser import browser_page, log_in
from tests.e2e.invariants import check_invariants
from tests.e2e.stack import FLUX, Json, Stack, data_of, marked, up_stack
from tests.e2e.test_admin_keys import actions_on
from tests.e2e.test_doubt import held, task_of

# They share one stack and one page.
pytestmark = pytest.mark.xdist_group("dashboard acts")
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "demo.jpg"
DROP = """([zone, name, type, content]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], name, { type }));
    zone.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[tuple[Stack, Page]]:
    """One stack and one open page for all of them; jobs in doubt wait for a person."""
    async with up_stack(ORCHESTRATOR_IN_DOUBT="hold") as stack, browser_page(stack) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        yield stack, page
        await check_invariants(stack)


async def press(page: Page, name: str, *, says: str, within: str = "main") -> None:
    """The button of this name, whose page then says so."""
    await page.locator(within).get_by_role("button", name=name, exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text(says)


async def drop(page: Page, zone: str, *, name: str, kind: str, content: bytes) -> None:
    """As from a file manager."""
    at = await page.wait_for_selector(zone)
    await page.evaluate(DROP, [at, name, kind, base64.b64encode(content).decode()])


async def failed_once(stack: Stack) -> str:
    """A job that fails for good, and would not a second time."""
    job_id = await stack.created(marked("refuse=400", "times=1"))
    assert (await stack.ended(job_id))["phase"] == "failed"
    return job_id


async def newest_action(stack: Stack) -> Json:
    found: Json = data_of(await stack.http.get("/api/v3/actions"))["items"][0]
    return found


async def test_a_failed_job_is_dismissed_and_retried_on_its_page(site: tuple[Stack, Page]) -> None:
    stack, page = site
    job_id = await failed_once(stack)
    await page.goto(f"/jobs/{job_id}")
    await press(page, "Dismiss", says="it is no dead letter any more")
    assert (await stack.job(job_id))["dismissed_at"]
    await press(page, "Retry", says="It will be sent again")
    ended = await stack.ended(job_id)
    assert (ended["phase"], ended["attempt"]) == ("completed", 2)
    assert await actions_on(stack, job_id) == ["dismiss", "redrive"]


async def test_the_provider_is_asked_at_once_about_a_job_of_which_it_has_told_nothing(
    site: tuple[Stack, Page],
) -> None:
    stack, page = site
    job_id = await stack.created(marked("callback=lost", "hold"))
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    await page.goto(f"/jobs/{job_id}")
    await press(page, "Check now", says="being asked about it now")
    ended = await stack.ended(job_id, within=5)
    assert (ended["phase"], ended["events"][-1]["source"]) == ("completed", "poll")


async def test_a_job_in_doubt_is_sent_again(site: tuple[Stack, Page]) -> None:
    stack, page = site
    job_id = await held(stack)
    await page.goto(f"/jobs/{job_id}")
    await press(page, "Send again", says="It will be sent again", within=".doubt-panel")
    assert (await stack.hurried(job_id))["attempt"] == 2
    assert await actions_on(stack, job_id) == ["redrive"]


async def test_a_job_in_doubt_is_given_the_task_that_a_person_has_found(site: tuple[Stack, Page]) -> None:
    stack, page = site
    job_id, task = await held(stack), await task_of(stack)
    await page.goto(f"/jobs/{job_id}")
    await page.get_by_label("The provider's id of its task").fill(task)
    await press(page, "This is its task", says="The task is this job's")
    ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["attempts"][0]["provider_id"]) == ("completed", task)


async def test_dead_letters_are_retried_at_a_rate_until_somebody_stops_it(site: tuple[Stack, Page]) -> None:
    stack, page = site
    jobs = [await stack.created(marked("fail=1403")) for _ in range(3)]
    (kind,) = {(await stack.ended(job_id))["fingerprint"] for job_id in jobs}
    await page.goto("/dead-letters")
    group = page.locator(f"#group-{kind}")
    await group.get_by_label("At most a minute").fill("1")
    await group.get_by_role("button", name="Retry all").click()
    await expect(page.get_by_role("status")).to_contain_text("3 jobs will be retried, in the background")
    action = await newest_action(stack)
    assert (action["state"], action["per_minute"], action["verb"]) == ("running", 1, "redrive")
    await page.goto("/actions")
    await press(page, "Stop", says="Stopped. What was done stays done", within=f"#action-{action['id']}")
    stopped = await newest_action(stack)
    assert (stopped["id"], stopped["state"]) == (action["id"], "stopped")
    retried = [job_id for job_id in jobs if (await stack.ended(job_id))["attempt"] > 1]
    assert len(retried) == stopped["done"] <= 1


async def test_selected_jobs_are_cancelled_and_then_dismissed(site: tuple[Stack, Page]) -> None:
    stack, page = site
    await stack.ledger.pause_lanes()
    jobs = [await stack.created("an ibis that waits") for _ in range(2)]
    for phase, button, words in (("ready", "Cancel", "be cancelled"), ("failed", "Dismiss", "be dismissed")):
        await page.goto(f"/jobs?q=ibis&phase={phase}")
        await page.get_by_label("Select all jobs on this page").check()
        await press(page, button, says=f"2 jobs will {words}", within=".selection")
        for job_id in jobs:
            await stack.ended(job_id)
    await stack.ledger.calm_lanes()

    async def is_dismissed(job: Json) -> bool:
        return bool(job["dismissed_at"])

    for job_id in jobs:
        assert (await stack.job_when(job_id, is_dismissed))["reason"] == "cancelled"
        assert await stack.tasks(job_id) == []


async def test_all_failed_jobs_of_a_batch_are_retried(site: tuple[Stack, Page]) -> None:
    stack, page = site
    lines = [bulk.line(marked("refuse=400", "times=1")) for _ in range(2)]
    batch = await bulk.sent(stack, [*lines, bulk.line()])
    assert (await bulk.finished(stack, batch["id"]))["counts"]["failed"] == 2
    await page.goto(f"/batches/{batch['id']}")
    await press(page, "Retry all failed", says="sent again")
    await bulk.batch_when(stack, batch["id"], lambda one: one["counts"]["completed"] == 3)


async def test_a_lane_is_paused_from_the_list_of_lanes(site: tuple[Stack, Page]) -> None:
    stack, page = site
    await page.goto("/lanes")
    lane = page.locator(".lane", has=page.locator("a[href='/lanes/wavespeed/video']"))
    await lane.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("status")).to_contain_text("is paused until somebody resumes it")
    stopped = "SELECT stopped_until FROM lanes WHERE id = 'wavespeed/video'"
    assert await stack.ledger.one(stopped) > 0
    await lane.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("status")).to_contain_text("is resumed")
    assert await stack.ledger.one(stopped) == 0


async def test_a_job_is_sent_with_an_image_that_was_dropped_on_its_form(site: tuple[Stack, Page]) -> None:
    stack, page = site
    await page.goto(f"/new?model={FLUX}")
    await page.get_by_label("Prompt").fill("a lighthouse, in watercolours")
    zone = ".drop:has(input[name='file.image'])"
    await drop(page, zone, name="demo.jpg", kind="image/jpeg", content=PICTURE.read_bytes())
    await expect(page.locator(zone)).to_contain_text("demo.jpg")
    await page.get_by_role("button", name="Send the job").click()
    await page.wait_for_url("**/jobs/*")
    text = await stack.ledger.one(
        "SELECT input FROM documents WHERE job_id = :id", id=page.url.rpartition("/")[2]
    )
    async with stack.provider.stream("GET", json.loads(text)["image"]) as kept:
        assert await kept.aread() == PICTURE.read_bytes()


async def test_a_dropped_file_is_checked_and_then_started_as_a_batch(site: tuple[Stack, Page]) -> None:
    stack, page = site
    before = await bulk.stored_batches(stack)
    await page.goto("/new/batch")
    await page.get_by_label("Model").fill(FLUX)
    lines = bulk.jsonl(bulk.lines_of(3))
    await drop(page, "[data-drop]", name="dropped.jsonl", kind="application/jsonl", content=lines)
    await page.get_by_role("button", name="Check the file").click()
    await expect(page.get_by_label("What the check found")).to_contain_text("3 lines are good")
    assert await bulk.stored_batches(stack) == before
    await page.get_by_role("button", name="Start 3 jobs").click()
    await page.wait_for_url("**/batches/*")
    assert await bulk.stored_batches(stack) == before | {page.url.rpartition("/")[2]: 3}


async def test_one_logs_out_and_in_again(site: tuple[Stack, Page]) -> None:
    stack, page = site
    await page.goto("/")
    before = await stack.ledger.one("SELECT count(*) FROM sessions")
    await page.locator(".menu summary").click()
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url("**/login")
    assert await stack.ledger.one("SELECT count(*) FROM sessions") == before - 1
    await log_in(page, stack.key)
