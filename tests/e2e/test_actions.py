"""What one can do with a job: cancel it, redrive it, have it checked, and read what happened to it."""

from __future__ import annotations

from tests.e2e.stack import Stack, data_of, marked
from tests.e2e.test_lost_answers import verbs


async def test_cancelling_what_was_not_sent_ends_it_at_once_and_costs_nothing(stack: Stack) -> None:
    await stack.ledger.pause_lanes()
    job_id = await stack.created()
    answer = data_of(await stack.act(job_id, "cancel"))
    assert (answer["phase"], answer["reason"], answer["may_be_billed"]) == ("failed", "cancelled", False)
    await stack.ledger.calm_lanes()
    later = await stack.created()
    await stack.ended(later)
    assert not await stack.tasks(job_id)


async def test_cancelling_what_runs_marks_it_and_it_still_completes(stack: Stack) -> None:
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    answer = data_of(await stack.act(job_id, "cancel"))
    assert (answer["phase"], answer["cancel_requested"], answer["may_be_billed"]) == ("accepted", True, True)
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    assert (await stack.ended(job_id))["phase"] == "completed"


async def test_a_cancelled_job_whose_task_fails_is_not_tried_again(stack: Stack) -> None:
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    await stack.act(job_id, "cancel")
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"], fail=5000)
    ended = await stack.ended(job_id)
    assert (ended["phase"], ended["reason"]) == ("failed", "cancelled")
    assert len(await stack.tasks(job_id)) == 1


async def test_a_job_that_has_ended_cannot_be_cancelled_nor_a_good_one_redriven(stack: Stack) -> None:
    job_id = await stack.created()
    await stack.ended(job_id)
    for verb in ("cancel", "redrive"):
        answer = await stack.act(job_id, verb)
        assert answer.status_code == 409
        assert "completed" in answer.json()["message"]
    assert verbs(await stack.job(job_id)) == ["create", "claim", "accept", "complete"]


async def test_a_forced_check_finds_at_once_what_no_callback_told(stack: Stack) -> None:
    job_id = await stack.created(marked("callback=lost", "hold"))
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    assert (await stack.act(job_id, "check")).status_code == 200
    ended = await stack.ended(job_id, within=5)
    assert (ended["phase"], ended["events"][-1]["source"]) == ("completed", "poll")


async def test_a_timeline_tells_each_step_with_its_time_source_and_reason(stack: Stack) -> None:
    job_id = await stack.created(marked("busy=1"))
    ended = await stack.hurried(job_id)
    steps = [(one["verb"], one["from_phase"], one["to_phase"], one["attempt"]) for one in ended["events"]]
    assert steps == [
        ("create", "", "ready", 0),
        ("claim", "ready", "submitting", 1),
        ("retry", "submitting", "waiting", 1),
        ("wake", "waiting", "ready", 1),
        ("claim", "ready", "submitting", 2),
        ("accept", "submitting", "accepted", 2),
        ("complete", "accepted", "completed", 2),
    ]
    assert [one["at"] for one in ended["events"]] == sorted(one["at"] for one in ended["events"])
    assert all(one["because"] and one["source"] for one in ended["events"])
    first, second = ended["attempts"]
    assert (first["outcome"], first["provider_id"]) == ("unavailable", "")
    (task,) = await stack.tasks(job_id)
    assert (second["outcome"], second["ended_by"], second["provider_id"]) == (
        "completed",
        "callback",
        task["id"],
    )
    assert second["claimed_at"] <= second["sent_at"] <= second["answered_at"] <= second["ended_at"]
    assert ended["seconds"] > 0


async def test_the_list_of_jobs_filters_and_has_pages(stack: Stack) -> None:
    ids = [await stack.created() for _ in range(3)]
    for job_id in ids:
        await stack.ended(job_id)
    first = await completed_jobs(stack, limit=2)
    second = await completed_jobs(stack, limit=2, before=first[-1])
    listed = [*first, *second]
    assert listed[:3] == ids[::-1]
    assert (await stack.http.get("/api/v3/jobs?status=nonsense")).json()["field"] == "status"


async def completed_jobs(stack: Stack, **asked: int | str) -> list[str]:
    params = {"status": "completed", **asked}
    return [item["id"] for item in data_of(await stack.http.get("/api/v3/jobs", params=params))["items"]]
