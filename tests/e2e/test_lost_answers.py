"""The provider took a task and its answer did not arrive: one task all the same, however it is found."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from tests.e2e.program import until
from tests.e2e.stack import Json, Stack, marked, up_stack

LOST = [
    "answer=drop",
    "answer=cut",
    "answer=500",
    "answer=502, html",
    "answer=504",
    "answer=503, html",
    "answer=garbage",
    "answer=empty",
]


def verbs(job: Json) -> list[str]:
    return [event["verb"] for event in job["events"]]


@pytest.mark.parametrize("fault", LOST)
async def test_the_callback_resolves_it(stack: Stack, fault: str) -> None:
    job_id = await stack.created(marked(fault, "duration=0.2"))
    ended = await stack.ended(job_id)
    assert (ended["phase"], verbs(ended)) == ("completed", ["create", "claim", "doubt", "complete"])
    assert ended["events"][-1]["source"] == "callback"
    assert len(await stack.tasks(job_id)) == 1


@pytest.mark.parametrize("fault", LOST)
async def test_the_history_resolves_it_when_the_callback_is_lost_too(stack: Stack, fault: str) -> None:
    job_id = await stack.created(marked(fault, "callback=lost"))
    await stack.in_phase(job_id, "in_doubt")
    ended = await stack.hurried(job_id)
    assert ended["phase"] == "completed"
    assert ended["attempt"] == 1
    assert "history" in {event["source"] for event in ended["events"]}
    assert len(await stack.tasks(job_id)) == 1


async def test_jobs_alike_in_doubt_each_get_a_task_of_their_own(stack: Stack) -> None:
    prompt = marked("answer=drop", "callback=lost", "times=3")
    ids = [await stack.created(prompt) for _ in range(3)]
    for job_id in ids:
        await stack.in_phase(job_id, "in_doubt")
    ended = [await stack.hurried(job_id) for job_id in ids]
    assert {job["phase"] for job in ended} == {"completed"}
    assert len({tuple(job["outputs"]) for job in ended}) == 3
    assert sum(task["prompt"] == prompt for task in await stack.tasks()) == 3


@pytest.mark.parametrize("fault", ["refuse=500", "refuse=502, html", "refuse=503, html"])
async def test_what_the_provider_never_took_is_sent_again_after_three_looks(stack: Stack, fault: str) -> None:
    job_id = await stack.created(marked(fault))
    await stack.in_phase(job_id, "in_doubt")
    ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["attempt"], ended["tries"]) == ("completed", 2, 1)
    assert (ended["attempts"][0]["outcome"], ended["attempts"][0]["checks"]) == ("not_there", 3)
    assert len(await stack.tasks(job_id)) == 1


async def test_whoever_asks_does_not_hurry_the_looks_that_decide_to_send_it_again(stack: Stack) -> None:
    job_id = await stack.created(marked("refuse=500"))
    planned = (await stack.in_phase(job_id, "in_doubt"))["attempts"][0]["next_check_at"]
    assert (await stack.act(job_id, "check")).status_code == 200
    (attempt,) = (await stack.job(job_id))["attempts"]
    assert (attempt["next_check_at"], attempt["checks"]) == (planned, 0)
    assert (await stack.hurried(job_id))["attempt"] == 2


@pytest.mark.parametrize("fault", ["refuse=500", "items=nameless", "items=bare"])
async def test_a_history_that_may_hide_the_task_resubmits_nothing(stack: Stack, fault: str) -> None:
    await stack.control("faults", fault=fault, on="history")
    job_id = await stack.created(marked("answer=drop", "callback=lost"))
    await stack.in_phase(job_id, "in_doubt")
    for _ in range(4):
        await stack.ledger.make_check_due(job_id)
        await until(lambda: has_been_looked_for(stack, job_id), what="a look into the history")
    assert (await stack.job(job_id))["phase"] == "in_doubt"
    await stack.mend()
    assert (await stack.hurried(job_id))["phase"] == "completed"
    assert len(await stack.tasks(job_id)) == 1


async def has_been_looked_for(stack: Stack, job_id: str) -> bool:
    return bool(await stack.ledger.one("SELECT check_at > 1 FROM attempts WHERE job_id = :id", id=job_id))


async def test_the_task_of_a_deleted_job_is_not_taken_for_that_of_a_job_alike(stack: Stack) -> None:
    prompt = marked("callback=lost", "times=1")
    deleted = await stack.created(prompt)
    await stack.in_phase(deleted, "accepted")
    await stack.hurried(deleted)
    (its_task,) = await stack.tasks(deleted)
    await stack.http.post("/api/v3/predictions/delete", json={"ids": [deleted]})
    await stack.control("faults", fault="refuse=500", count=1)
    job_id = await stack.created(prompt)
    await stack.in_phase(job_id, "in_doubt")
    ended = await stack.hurried(job_id)
    assert ended["attempts"][0]["outcome"] == "not_there"
    (task,) = await stack.tasks(job_id)
    assert task["id"] != its_task["id"]


async def test_the_answer_that_comes_late_is_no_second_task(stack: Stack) -> None:
    job_id = await stack.created(marked("slow=0.5", "duration=0.1"))
    ended = await stack.ended(job_id)
    assert ended["phase"] == "completed"

    async def is_answered() -> bool:
        return bool((await stack.job(job_id))["attempts"][0]["answered_at"])

    await until(is_answered)
    assert (await stack.job(job_id))["events"] == ended["events"]
    assert len(await stack.tasks(job_id)) == 1


async def test_a_post_that_is_not_answered_within_20_seconds_is_in_doubt_and_paid_once(stack: Stack) -> None:
    job_id = await stack.created(marked("slow=40", "duration=0.05", "callback=lost"))
    doubted = await stack.in_phase(job_id, "in_doubt", within=24)
    (_, claim, doubt) = doubted["events"]
    assert doubt["because"].endswith("no answer within 20 s")
    seconds = datetime.fromisoformat(doubt["at"]) - datetime.fromisoformat(claim["at"])
    assert 20 <= seconds.total_seconds() < 24
    assert (await stack.hurried(job_id))["attempt"] == 1
    assert len(await stack.tasks(job_id)) == 1


async def test_with_the_policy_hold_a_person_decides() -> None:
    async with up_stack(ORCHESTRATOR_IN_DOUBT="hold") as stack:
        job_id = await stack.created(marked("refuse=500"))

        async def is_held(job: Json) -> bool:
            await stack.ledger.make_check_due(job_id)
            return bool(job["phase"] == "held")

        held = await stack.job_when(job_id, is_held, what="held")
        assert held["status"] == "processing"
        assert not await stack.tasks(job_id)
        assert (await stack.act(job_id, "redrive")).status_code == 200
        ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["attempt"]) == ("completed", 2)


async def test_five_lost_answers_open_the_breaker_and_one_good_one_closes_it(own_stack: Stack) -> None:
    await own_stack.control("faults", fault="refuse=500", count=5)
    ids = [await own_stack.created(f"a lake, {number}") for number in range(5)]
    await asyncio.gather(*(own_stack.in_phase(job_id, "in_doubt") for job_id in ids))
    (image, _) = await lanes(own_stack)
    assert "keeps failing" in image["pause_reason"]
    waiting = await own_stack.created("a river")
    assert (await own_stack.job(waiting))["phase"] == "ready"
    await own_stack.ledger.change("UPDATE lanes SET paused_until = 0")
    await own_stack.ended(waiting)
    ended = await asyncio.gather(*(own_stack.hurried(job_id) for job_id in ids))
    assert {job["phase"] for job in ended} == {"completed"}


async def lanes(stack: Stack) -> list[Json]:
    answer = await stack.http.get("/api/v3/lanes")
    found: list[Json] = answer.json()["data"]["lanes"]
    return found
