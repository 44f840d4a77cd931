"""Callbacks as they really come: early, late, again and again, out of order, forged, stale, or not at all."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.program import until
from tests.e2e.stack import PROVIDER_KEY, Json, Stack, data_of, marked
from tests.e2e.test_lost_answers import lanes, verbs


def verdicts(job: Json) -> dict[str, int]:
    return {one["verdict"]: one["count"] for one in job["callbacks"]}


async def callbacks_sent(stack: Stack, job_id: str, count: int) -> list[Json]:
    """The provider's own notes of what it sent and how we answered, once there are so many."""

    async def sent() -> list[Json] | None:
        notes = [note for task in await stack.tasks(job_id) for note in task["callbacks"]]
        return notes if len(notes) >= count else None

    found = await until(sent, what=f"{count} callbacks")
    assert found is not None
    return found


async def test_a_callback_before_the_answer_completes_the_job(stack: Stack) -> None:
    job_id = await stack.created(marked("callback=early", "slow=0.2"))
    ended = await stack.ended(job_id)
    assert verbs(ended) == ["create", "claim", "complete"]

    async def is_answered() -> bool:
        return bool((await stack.job(job_id))["attempts"][0]["answered_at"])

    await until(is_answered)
    assert verbs(await stack.job(job_id)) == ["create", "claim", "complete"]


async def test_a_thousand_copies_at_once_have_one_effect_and_are_all_answered_2xx(stack: Stack) -> None:
    job_id = await stack.created(marked("copies=1000"))
    notes = await callbacks_sent(stack, job_id, 1_000)
    assert {note["answer"] for note in notes} == {200}
    ended = await stack.ended(job_id)
    assert verbs(ended) == ["create", "claim", "accept", "complete"]
    assert verdicts(ended) == {"valid": 1_000}


@pytest.mark.parametrize("fault", ["callback=reordered", "callback=contradictory", "late=0.3"])
async def test_what_comes_late_or_out_of_order_changes_nothing(stack: Stack, fault: str) -> None:
    job_id = await stack.created(marked(fault))
    await callbacks_sent(stack, job_id, 1 if "late" in fault else 2)
    ended = await stack.ended(job_id)
    assert verbs(ended) == ["create", "claim", "accept", "complete"]
    (task,) = await stack.tasks(job_id)
    assert ended["outputs"] == task["outputs"]


@pytest.mark.parametrize(
    ("fault", "verdict"), [("forged", "invalid"), ("unsigned", "unsigned"), ("stale", "stale")]
)
async def test_what_proves_nothing_is_recorded_and_asked_about(
    stack: Stack, fault: str, verdict: str
) -> None:
    job_id = await stack.created(marked(f"callback={fault}"))
    ended = await stack.ended(job_id, within=5)
    assert ended["events"][-1]["source"] == "poll"
    assert set(verdicts(ended)) == {verdict}
    assert {note["answer"] for note in await callbacks_sent(stack, job_id, 1)} == {200}


async def test_a_forged_end_of_a_running_task_is_not_believed(stack: Stack) -> None:
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    lie = {"id": task["id"], "status": "completed", "outputs": ["https://evil.example/x.png"]}
    told = await stack.control("callback", id=task["id"], kind="forged", body=lie)
    assert told["answers"] == [200]

    async def has_asked() -> bool:
        return bool((await stack.job(job_id))["attempts"][0]["checks"])

    await until(has_asked)
    assert (await stack.job(job_id))["phase"] == "accepted"
    await stack.control("finish", id=task["id"])
    assert (await stack.ended(job_id))["outputs"] != lie["outputs"]


async def test_a_callback_at_another_jobs_url_does_not_end_that_job(stack: Stack) -> None:
    done, running = await stack.created(), await stack.created(marked("hold"))
    await stack.ended(done)
    await stack.in_phase(running, "accepted")
    (its_task,), (other,) = await stack.tasks(running), await stack.tasks(done)
    told = await stack.control("callback", id=other["id"], url=its_task["webhook"])
    assert told["answers"] == [200]

    async def is_seen(job: Json) -> bool:
        return bool(job["callbacks"])

    seen = await stack.job_when(running, is_seen)
    assert seen["phase"] == "accepted"
    await stack.control("finish", id=its_task["id"])
    ended = await stack.ended(running)
    (task,) = await stack.tasks(running)
    assert ended["outputs"] == task["outputs"] != other["outputs"]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"id":5}', b'{"status":"completed"}'])
async def test_a_strange_body_at_the_right_url_is_answered_2xx_and_not_believed(
    stack: Stack, body: bytes
) -> None:
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    path = task["webhook"].removeprefix(stack.url)
    assert (await stack.http.post(path, content=body)).status_code == 200
    assert (await stack.job(job_id))["phase"] == "accepted"
    await stack.control("finish", id=task["id"])
    await stack.ended(job_id)


async def in_doubt(stack: Stack) -> tuple[str, str]:
    """A job whose answer was lost, and the path of its callbacks."""
    job_id = await stack.created(marked("answer=drop", "callback=lost"))
    await stack.in_phase(job_id, "in_doubt")
    (task,) = await stack.tasks(job_id)
    return job_id, task["webhook"].removeprefix(stack.url)


async def test_an_unsigned_callback_takes_no_task_of_another_job(stack: Stack) -> None:
    other = await stack.created()
    await stack.ended(other)
    (its_task,) = await stack.tasks(other)
    job_id, path = await in_doubt(stack)
    told = await stack.http.post(path, json={"id": its_task["id"], "status": "completed"})
    assert (told.status_code, told.json()["data"]) == (200, {"callback": "ignored"})
    doubted = await stack.job(job_id)
    assert (doubted["phase"], verdicts(doubted)) == ("in_doubt", {"unsigned": 1})
    assert doubted["attempts"][0]["provider_id"] == ""
    assert (await stack.hurried(job_id))["outputs"] != its_task["outputs"]


async def test_a_signed_callback_about_another_jobs_task_is_recorded_and_changes_nothing(
    stack: Stack,
) -> None:
    other = await stack.created()
    await stack.ended(other)
    (its_task,) = await stack.tasks(other)
    job_id, path = await in_doubt(stack)
    told = await stack.control("callback", id=its_task["id"], url=stack.url + path)
    assert told["answers"] == [200]
    doubted = await stack.job(job_id)
    assert (doubted["phase"], verdicts(doubted)) == ("in_doubt", {"valid": 1})
    assert (await stack.hurried(job_id))["outputs"] != its_task["outputs"]


async def test_an_unsigned_callback_takes_no_task_of_another_model(stack: Stack) -> None:
    made = await stack.provider.post(
        "/api/v3/wavespeed-ai/flux-redux-pro",
        json={"prompt": "a lake", "image": "https://images.example/a.png"},
        headers={"authorization": f"Bearer {PROVIDER_KEY}"},
    )
    stranger = data_of(made)["id"]
    job_id, path = await in_doubt(stack)
    told = await stack.http.post(path, json={"id": stranger, "status": "completed"})
    assert (told.status_code, told.json()["data"]) == (200, {"callback": "ignored"})
    assert (await stack.job(job_id))["phase"] == "in_doubt"
    await stack.hurried(job_id)


async def test_a_task_taken_on_an_unsigned_word_goes_back_to_whom_the_answer_gives_it(
    own_stack: Stack,
) -> None:
    stack = own_stack
    job_id, path = await in_doubt(stack)
    owner = await stack.created(marked("slow=1.5", "hold"))
    (its_task,) = await until(lambda: stack.tasks(owner), what="the owner's task")
    await stack.http.post(path, json={"id": its_task["id"], "status": "processing"})
    taken = await stack.in_phase(job_id, "accepted")
    assert taken["attempts"][0]["provider_id"] == its_task["id"]
    owned = await stack.in_phase(owner, "accepted")
    assert owned["attempts"][0]["provider_id"] == its_task["id"]
    assert "unadopt" in verbs(await stack.job(job_id))
    await stack.control("finish", id=its_task["id"])
    assert (await stack.ended(owner))["outputs"] != (await stack.hurried(job_id))["outputs"]


async def test_a_wrong_token_is_401_and_leaves_no_trace(stack: Stack) -> None:
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    path = task["webhook"].removeprefix(stack.url)
    wrong = [path[:-1] + ("A" if path[-1] != "A" else "B"), path.replace(f"{job_id}/1/", f"{job_id}/2/")]
    for one in wrong:
        assert (await stack.http.post(one, json={})).status_code == 401
    assert (await stack.job(job_id))["callbacks"] == []
    await stack.control("finish", id=task["id"])
    await stack.ended(job_id)


async def test_a_callback_for_a_deleted_job_is_answered_2xx(stack: Stack) -> None:
    job_id = await stack.created()
    await stack.ended(job_id)
    (task,) = await stack.tasks(job_id)
    await stack.http.post("/api/v3/predictions/delete", json={"ids": [job_id]})
    assert (await stack.control("callback", id=task["id"]))["answers"] == [200]


async def test_a_lost_callback_is_found_by_poll_on_schedule_and_soon_for_those_after(
    own_stack: Stack,
) -> None:
    stack = own_stack
    lost = await stack.created(marked("callback=lost"))
    accepted = await stack.in_phase(lost, "accepted")
    assert 15 < first_check_in_s(accepted) < 25
    # Not `hurried`: that calms the lanes too, and may wipe out what this poll is about to tell of the lane.
    await stack.ledger.make_check_due(lost)
    ended = await stack.ended(lost)
    assert (ended["phase"], ended["events"][-1]["source"]) == ("completed", "poll")
    next_one = await until(lambda: polled_lane(stack))
    assert next_one
    began = asyncio.get_running_loop().time()
    again = await stack.created(marked("callback=lost"))
    assert (await stack.ended(again))["events"][-1]["source"] == "poll"
    assert asyncio.get_running_loop().time() - began < 6
    heard = await stack.created("a calm lake")
    await stack.ended(heard)

    async def is_pushed() -> bool:
        return bool((await lanes(stack))[0]["callbacks_arrive"])

    await until(is_pushed, what="callbacks to be trusted again")


async def polled_lane(stack: Stack) -> bool:
    return not (await lanes(stack))[0]["callbacks_arrive"]


def first_check_in_s(job: Json) -> float:
    def at(text: Any) -> datetime:
        return datetime.fromisoformat(text)

    (attempt,) = job["attempts"]
    return (at(attempt["next_check_at"]) - at(attempt["answered_at"])).total_seconds()
