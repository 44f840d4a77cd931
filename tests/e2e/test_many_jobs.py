"""Actions on many jobs over HTTP: counted first, done by the workers, stopped, and kept apart by tenant."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.e2e.program import until
from tests.e2e.stack import Json, Stack, data_of
from tests.e2e.test_admin_keys import actions_on
from tests.e2e.test_tenants import key_of_another

ACTIONS = "/api/v3/actions"


async def failed(stack: Stack, word: str) -> str:
    job_id = await stack.created(f"{word} [fault: fail=1001]")
    assert (await stack.ended(job_id))["phase"] == "failed"
    return job_id


async def ordered(stack: Stack, **wanted: Any) -> Json:
    told: Json = data_of(await stack.http.post(ACTIONS, json=wanted))
    return told


async def ended(stack: Stack, action: Json) -> Json:
    async def has_ended() -> Json | None:
        found: Json = data_of(await stack.http.get(f"{ACTIONS}/{action['id']}"))
        return found if found["state"] != "running" else None

    found = await until(has_ended, what="the action to end")
    assert found is not None
    return found


async def test_a_filter_is_counted_without_harm_and_then_redriven(stack: Stack) -> None:
    word = uuid.uuid4().hex
    jobs = [await failed(stack, word) for _ in range(3)]
    wanted = {"verb": "redrive", "filter": {"dead": True, "q": word}}
    assert await ordered(stack, **wanted, dry_run=True) == {"dry_run": True, "expected": 3}
    assert {(await stack.job(job_id))["attempt"] for job_id in jobs} == {1}
    action = await ordered(stack, **wanted)
    assert (action["expected"], action["filter"]) == (3, wanted["filter"])
    done = await ended(stack, action)
    assert (done["state"], done["done"], done["refused"]) == ("finished", 3, 0)
    for job_id in jobs:
        assert (await stack.ended(job_id))["attempt"] == 2
        assert await actions_on(stack, job_id) == [f"redrive (action {action['id']})"]


async def test_ids_are_deleted_and_what_runs_is_refused(stack: Stack) -> None:
    gone = await failed(stack, "a mole")
    running = await stack.created("a mole [fault: hold]")
    await stack.in_phase(running, "accepted")
    done = await ended(stack, await ordered(stack, verb="delete", ids=[gone, running]))
    assert (done["done"], done["refused"]) == (1, 1)
    assert (await stack.http.get(f"/api/v3/jobs/{gone}")).status_code == 404
    (task,) = await stack.tasks(running)
    await stack.control("finish", id=task["id"])
    await stack.ended(running)


async def test_a_slow_action_is_stopped_and_what_was_done_stays_done(stack: Stack) -> None:
    word = uuid.uuid4().hex
    jobs = [await failed(stack, word) for _ in range(2)]
    action = await ordered(stack, verb="dismiss", filter={"dead": True, "q": word}, per_minute=1)

    async def has_begun() -> bool:
        return bool(data_of(await stack.http.get(f"{ACTIONS}/{action['id']}"))["done"])

    await until(has_begun, what="the first job to be dismissed")
    stopped = data_of(await stack.http.post(f"{ACTIONS}/{action['id']}/stop"))
    assert (stopped["state"], stopped["done"]) == ("stopped", 1)
    assert (await stack.http.post(f"{ACTIONS}/{action['id']}/stop")).status_code == 409
    dismissed = [bool((await stack.job(job_id))["dismissed_at"]) for job_id in jobs]
    assert dismissed == [True, False]
    assert await actions_on(stack, action["id"]) == ["dismiss many", "stop dismiss many"]


async def test_another_tenant_sees_no_action_and_touches_no_job(stack: Stack) -> None:
    mine = await failed(stack, "a shrew")
    action = await ordered(stack, verb="dismiss", ids=[await failed(stack, "a shrew")])
    theirs = await key_of_another(stack)
    for method, path in (("GET", f"{ACTIONS}/{action['id']}"), ("POST", f"{ACTIONS}/{action['id']}/stop")):
        assert (await stack.http.request(method, path, headers=theirs)).status_code == 404
    assert data_of(await stack.http.get(ACTIONS, headers=theirs))["items"] == []
    body = {"verb": "dismiss", "ids": [mine]}
    order = data_of(await stack.http.post(ACTIONS, json=body, headers=theirs))

    async def has_ended() -> bool:
        found = await stack.http.get(f"{ACTIONS}/{order['id']}", headers=theirs)
        return bool(data_of(found)["refused"])

    await until(has_ended, what="the action to be refused")
    assert not (await stack.job(mine))["dismissed_at"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verb": "explode", "ids": ["1"]}, "verb"),
        ({"verb": "cancel"}, "filter"),
        ({"verb": "cancel", "filter": {}}, "filter"),
        ({"verb": "cancel", "ids": ["1"], "filter": {"phase": "ready"}}, "filter"),
        ({"verb": "cancel", "filter": {"phase": "gone"}}, "filter.phase"),
        ({"verb": "cancel", "filter": {"phase": "ready", "since": "soon"}}, "filter.since"),
        ({"verb": "cancel", "filter": {"phase": "ready"}, "per_minute": 0}, "per_minute"),
        ({"verb": "cancel", "ids": ["1"] * 1_001}, "ids"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_field(stack: Stack, body: Json, field: str) -> None:
    answer = await stack.http.post(ACTIONS, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field
