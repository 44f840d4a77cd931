"""How a task can end at the provider, and what becomes of its job."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Json, Stack, data_of, marked
from tests.e2e.test_lost_answers import verbs


@pytest.mark.parametrize("code", [1200, 1400, 1401, 1402, 1403, 1405])
async def test_a_code_of_1xxx_is_rejected_at_once(stack: Stack, code: int) -> None:
    job_id = await stack.created(marked(f"fail={code}"))
    ended = await stack.ended(job_id)
    assert (ended["phase"], ended["reason"], ended["attempt"]) == ("failed", "rejected", 1)
    assert ended["code"] == code
    assert len(await stack.tasks(job_id)) == 1


@pytest.mark.parametrize("code", [5000, 5003, 5004])
async def test_a_code_of_5xxx_is_tried_again(stack: Stack, code: int) -> None:
    job_id = await stack.created(marked(f"fail={code}", "times=1"))
    ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["attempt"], ended["tries"]) == ("completed", 2, 1)
    assert [task["status"] for task in await stack.tasks(job_id)] == ["failed", "completed"]


async def test_a_moderated_prompt_is_rejected(stack: Stack) -> None:
    ended = await stack.ended(await stack.created("something nsfw"))
    assert (ended["reason"], ended["code"]) == ("rejected", 1200)


async def test_five_failures_make_a_dead_letter_and_a_redrive_brings_it_back(stack: Stack) -> None:
    job_id = await stack.created(marked("fail=5000", "times=5"))
    dead = await stack.hurried(job_id)
    assert (dead["phase"], dead["reason"], dead["tries"]) == ("failed", "exhausted", 4)
    assert len(await stack.tasks(job_id)) == 5
    assert job_id in await dead_letters(stack)
    assert (await stack.act(job_id, "redrive")).status_code == 200
    ended = await stack.ended(job_id)
    assert (ended["phase"], ended["attempt"], ended["error"]) == ("completed", 6, "")
    assert "redrive" in verbs(ended)
    assert job_id not in await dead_letters(stack)
    (audit,) = await stack.ledger.rows("SELECT * FROM audit WHERE object = :id", id=job_id)
    assert audit["action"] == "redrive"


async def dead_letters(stack: Stack) -> set[str]:
    items: list[Json] = data_of(await stack.http.get("/api/v3/dead-letters?limit=100"))["items"]
    return {item["id"] for item in items}


async def test_dead_letters_have_pages(stack: Stack) -> None:
    ids = [await stack.created(marked("fail=1403")) for _ in range(3)]
    for job_id in ids:
        await stack.ended(job_id)
    first = data_of(await stack.http.get("/api/v3/dead-letters?limit=2"))["items"]
    before = first[-1]["id"]
    second = data_of(await stack.http.get(f"/api/v3/dead-letters?limit=2&before={before}"))["items"]
    assert [item["id"] for item in [*first, *second]][:3] == ids[::-1]


async def test_completed_without_outputs_is_believed_after_three_polls(stack: Stack) -> None:
    job_id = await stack.created(marked("outputs=none"))
    ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["reason"]) == ("failed", "no_output")
    assert len(await stack.tasks(job_id)) == 1


async def test_malformed_outputs_end_the_job_and_harm_nothing(own_stack: Stack) -> None:
    strange = [await own_stack.created(marked(f"outputs={kind}")) for kind in ("nul", "nan", "lone")]
    neighbour = await own_stack.created()
    for job_id in strange:
        ended = await own_stack.hurried(job_id)
        assert (ended["phase"], ended["reason"]) == ("failed", "rejected")
        assert ended["error"]
    assert (await own_stack.ended(neighbour))["phase"] == "completed"


async def test_outputs_of_strange_types_are_paid_for_and_kept(own_stack: Stack) -> None:
    job_id = await own_stack.created(marked("outputs=types"))
    assert (await own_stack.ended(job_id))["phase"] == "completed"
    told = data_of(await own_stack.http.get(f"/api/v3/predictions/{job_id}/result"))
    assert told["outputs"] == [17, None, {"url": 5}]


async def test_an_output_of_fifty_megabytes_harms_nothing(own_stack: Stack) -> None:
    job_id, neighbour = await own_stack.created(marked("outputs=huge")), await own_stack.created()
    assert (await own_stack.ended(neighbour))["phase"] == "completed"
    ended = await own_stack.hurried(job_id)
    assert ended["phase"] == "completed"
    assert len(await own_stack.tasks(job_id)) == 1


async def test_a_404_for_a_while_is_no_failure(stack: Stack) -> None:
    job_id = await stack.created(marked("gone=1.5", "callback=lost"))
    await stack.in_phase(job_id, "accepted")

    async def was_gone(job: Json) -> bool:
        await stack.ledger.make_check_due(job_id)
        return bool(job["attempts"][0]["checks"])

    assert (await stack.job_when(job_id, was_gone))["phase"] == "accepted"
    assert (await stack.hurried(job_id))["phase"] == "completed"
    assert len(await stack.tasks(job_id)) == 1
