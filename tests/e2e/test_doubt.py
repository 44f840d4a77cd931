"""A person's word on a job that is held in doubt, and a dead letter that somebody has looked at."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.program import until
from tests.e2e.stack import FLUX, PROVIDER_KEY, Json, Stack, data_of, marked, up_stack
from tests.e2e.test_admin_keys import ADMIN, actions_on
from tests.e2e.test_tenants import key_of_another

Headers = dict[str, str]
REDUX = "wavespeed-ai/flux-redux-dev"
IMAGE = "https://example.com/boat.png"


@pytest.fixture(scope="module")
async def holding() -> AsyncIterator[Stack]:
    async with up_stack(ORCHESTRATOR_IN_DOUBT="hold") as stack:
        yield stack


async def held(stack: Stack, headers: Headers | None = None) -> str:
    """A job whose answer is lost and whose task nobody finds: there is none."""
    job_id = await stack.created(marked("refuse=500"), headers=headers or {})

    async def is_held() -> bool:
        await stack.ledger.calm_lanes()
        await stack.ledger.make_check_due(job_id)
        rows = await stack.ledger.rows("SELECT phase FROM jobs WHERE id = :id", id=job_id)
        return bool(rows[0]["phase"] == "held")

    await until(is_held, what="the job to be held")
    return job_id


async def resolve(stack: Stack, job_id: str, headers: Headers | None = None, **word: Any) -> httpx.Response:
    return await stack.http.post(f"/api/v3/jobs/{job_id}/resolve", json=word, headers=headers or {})


async def task_of(stack: Stack, model: str = FLUX, **inputs: str) -> str:
    """A task that somebody else has made with the same account."""
    headers = {"authorization": f"Bearer {PROVIDER_KEY}"}
    answer = await stack.provider.post(
        f"/api/v3/{model}", json={"prompt": "a lighthouse", **inputs}, headers=headers
    )
    return str(data_of(answer)["id"])


async def test_it_is_sent_again(holding: Stack) -> None:
    job_id = await held(holding)
    assert data_of(await resolve(holding, job_id, action="resubmit"))["phase"] in ("ready", "submitting")
    assert (await holding.hurried(job_id))["attempt"] == 2
    assert await actions_on(holding, job_id) == ["redrive"]


@pytest.mark.parametrize("word", ["resubmit", "fail", "adopt"])
async def test_a_word_that_is_repeated_under_its_key_is_given_once(holding: Stack, word: str) -> None:
    job_id, key = await held(holding), {"idempotency-key": uuid.uuid4().hex}
    said = {"action": word} | ({"provider_id": await task_of(holding)} if word == "adopt" else {})
    first = await resolve(holding, job_id, key, **said)
    again = await resolve(holding, job_id, key, **said)
    assert data_of(again)["id"] == data_of(first)["id"]
    assert ("idempotent-replayed" in first.headers, "idempotent-replayed" in again.headers) == (False, True)
    assert len(await actions_on(holding, job_id)) == 1
    assert (await resolve(holding, job_id, key, action="fail", because="x")).status_code == 409


async def test_it_is_given_up(holding: Stack) -> None:
    job_id = await held(holding)
    told = data_of(await resolve(holding, job_id, action="fail", because="the provider says no"))
    assert (told["phase"], told["reason"], told["error"]) == ("failed", "unresolved", "the provider says no")
    assert await actions_on(holding, job_id) == ["resolve: fail"]


async def test_the_task_that_a_person_names_is_adopted(holding: Stack) -> None:
    job_id, task = await held(holding), await task_of(holding)
    data_of(await resolve(holding, job_id, action="adopt", provider_id=task))
    ended = await holding.hurried(job_id)
    assert (ended["phase"], ended["attempt"], ended["attempts"][0]["provider_id"]) == ("completed", 1, task)
    assert await actions_on(holding, job_id) == [f"resolve: adopt {task}"]


async def test_a_task_of_another_job_is_not_adopted(holding: Stack) -> None:
    done = await holding.created()
    await holding.ended(done)
    (task,) = await holding.tasks(done)
    job_id = await held(holding)
    answer = await resolve(holding, job_id, action="adopt", provider_id=task["id"])
    assert (answer.status_code, "another job" in answer.json()["message"]) == (409, True)
    assert (await holding.job(job_id))["phase"] == "held"


async def test_an_attempt_that_has_got_a_task_meanwhile_is_given_no_other(holding: Stack) -> None:
    job_id = await held(holding)
    await holding.ledger.change(
        "UPDATE attempts SET provider_id = 'its-own' WHERE job_id = :id AND number = 1", id=job_id
    )
    answer = await resolve(holding, job_id, action="adopt", provider_id=await task_of(holding))
    assert (answer.status_code, "has a task already" in answer.json()["message"]) == (409, True)
    assert await actions_on(holding, job_id) == []
    assert data_of(await resolve(holding, job_id, action="fail"))["phase"] == "failed"


async def test_a_task_that_is_not_there_or_of_another_model_is_not_adopted(holding: Stack) -> None:
    job_id, other = await held(holding), await task_of(holding, model=REDUX, image=IMAGE)
    for provider_id in ("f" * 32, "../balance", other):
        answer = await resolve(holding, job_id, action="adopt", provider_id=provider_id)
        assert (answer.status_code, answer.json()["field"]) == (400, "provider_id")
    assert (await holding.job(job_id))["phase"] == "held"


async def test_a_tenants_admin_resolves_its_own_jobs_but_names_no_tasks(holding: Stack) -> None:
    theirs = await key_of_another(holding, scopes=ADMIN)
    job_id = await held(holding, theirs)
    answer = await resolve(holding, job_id, theirs, action="adopt", provider_id=await task_of(holding))
    assert answer.status_code == 403
    assert data_of(await resolve(holding, job_id, theirs, action="fail"))["phase"] == "failed"


async def test_the_operator_resolves_anybodys_job_and_a_tenant_only_its_own(holding: Stack) -> None:
    owners, strangers = [await key_of_another(holding, scopes=ADMIN) for _ in range(2)]
    job_id = await held(holding, owners)
    assert (await resolve(holding, job_id, strangers, action="fail")).status_code == 404
    assert data_of(await resolve(holding, job_id, action="fail"))["phase"] == "failed"


@pytest.mark.parametrize(
    "word", [{"action": "resubmit"}, {"action": "fail"}, {"action": "adopt", "provider_id": "f" * 32}]
)
async def test_a_job_that_is_not_in_doubt_cannot_be_resolved(holding: Stack, word: Json) -> None:
    job_id = await holding.created()
    await holding.ended(job_id)
    answer = await resolve(holding, job_id, **word)
    assert (answer.status_code, "completed" in answer.json()["message"]) == (409, True)


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ({}, "action"),
        ({"action": "forget"}, "action"),
        ({"action": "adopt"}, "provider_id"),
        ({"action": "fail", "provider_id": "f" * 32}, "provider_id"),
        ({"action": "fail", "reason": "x"}, "reason"),
    ],
)
async def test_a_wrong_word_is_refused_by_its_field(holding: Stack, word: Json, field: str) -> None:
    answer = await resolve(holding, "f" * 32, **word)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


async def test_a_dismissed_job_is_no_dead_letter_until_it_fails_again(stack: Stack) -> None:
    job_id = await stack.created(marked("fail=1200", "times=2"))
    await stack.ended(job_id)
    assert job_id in await dead_letters(stack)
    told = data_of(await stack.act(job_id, "dismiss"))
    assert told["dismissed_at"]
    assert data_of(await stack.act(job_id, "dismiss"))["dismissed_at"] == told["dismissed_at"]
    assert job_id not in await dead_letters(stack)
    await stack.act(job_id, "redrive")
    assert (await stack.ended(job_id))["dismissed_at"] == ""
    assert job_id in await dead_letters(stack)
    assert await actions_on(stack, job_id) == ["dismiss", "dismiss", "redrive"]


async def test_only_what_failed_is_dismissed_and_only_by_its_own_tenant(stack: Stack) -> None:
    job_id = await stack.created()
    await stack.ended(job_id)
    assert (await stack.act(job_id, "dismiss")).status_code == 409
    theirs = await key_of_another(stack)
    assert (await stack.http.post(f"/api/v3/jobs/{job_id}/dismiss", headers=theirs)).status_code == 404


async def dead_letters(stack: Stack) -> list[str]:
    return [one["id"] for one in data_of(await stack.http.get("/api/v3/dead-letters?limit=100"))["items"]]
