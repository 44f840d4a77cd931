"""`Idempotency-Key`: the same request again is the same job, whoever asks first and however often."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.e2e.stack import FLUX, Stack, data_of, marked


@pytest.fixture
def key() -> dict[str, str]:
    return {"idempotency-key": uuid.uuid4().hex}


async def test_the_same_request_again_is_the_same_job_and_says_so(stack: Stack, key: dict[str, str]) -> None:
    prompt = marked("duration=0.05")
    first = await stack.submit(prompt, headers=key)
    job = await stack.ended(data_of(first)["id"])
    again = await stack.submit(prompt, headers=key)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (data_of(again)["id"], data_of(again)["status"]) == (job["id"], "completed")
    assert len(await stack.tasks(job["id"])) == 1


async def test_a_replay_in_sync_mode_waits_for_the_first_ones_end(stack: Stack, key: dict[str, str]) -> None:
    prompt = marked("duration=0.3")
    answers = await asyncio.gather(
        *(stack.submit(prompt, headers=key, enable_sync_mode=True) for _ in range(3))
    )
    assert {(data_of(one)["id"], data_of(one)["status"]) for one in answers} == {
        (data_of(answers[0])["id"], "completed")
    }
    assert len(await stack.tasks(data_of(answers[0])["id"])) == 1


async def test_another_body_or_path_under_the_key_is_a_conflict(stack: Stack, key: dict[str, str]) -> None:
    first = data_of(await stack.submit("one", headers=key))["id"]
    for answer in (
        await stack.submit("two", headers=key),
        await stack.submit("one", headers=key, path=f"/api/v2/{FLUX}"),
        await stack.submit("one", headers=key, params={"webhook": "https://example.com/"}),
    ):
        assert answer.status_code == 409
        assert "Idempotency-Key" in answer.json()["message"]
    await stack.ended(first)
    assert len(await stack.tasks(first)) == 1


async def test_twenty_at_once_are_one_job(stack: Stack, key: dict[str, str]) -> None:
    jobs = await stack.ledger.count_jobs()
    answers = await asyncio.gather(*(stack.submit("at once", headers=key) for _ in range(20)))
    (job_id,) = {data_of(answer)["id"] for answer in answers}
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19
    assert await stack.ledger.count_jobs() == jobs + 1
    await stack.ended(job_id)
    assert len(await stack.tasks(job_id)) == 1


@pytest.mark.parametrize("wrong", ["", "x" * 256, "caf\xe9\xa0"])
async def test_a_key_that_is_none_is_refused(stack: Stack, wrong: str) -> None:
    headers = {b"idempotency-key": wrong.encode("latin-1")}
    answer = await stack.http.post(f"/api/v3/{FLUX}", json={"prompt": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")


async def test_a_request_that_was_refused_does_not_use_up_its_key(stack: Stack, key: dict[str, str]) -> None:
    assert (await stack.submit("x", headers=key, size="big")).status_code == 400
    assert (await stack.submit("x", headers=key, size="256*256")).status_code == 200
