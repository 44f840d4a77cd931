"""`Idempotency-Key` on what makes no job: done once, and answered again, however often it is asked."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from tests.e2e.hooked import Hooked, path_of
from tests.e2e.program import until
from tests.e2e.stack import FLUX, Json, data_of, marked
from tests.e2e.subscribing import DELIVERIES, ENDPOINTS, Subscriber, new_subscriber

ACTIONS, KEYS, TENANTS = "/api/v3/actions", "/api/v3/keys", "/api/v3/tenants"
HOOK = {"url": "https://user.example/hook", "events": ["job.completed"]}
CANCEL_ALL = {"verb": "cancel", "filter": {"phase": "ready"}}
FAILS = marked("fail=1200")
ALWAYS = "2020-01-01T00:00:00Z"


def new_key() -> str:
    return uuid.uuid4().hex


async def post(tenant: Subscriber, path: str, key: str, **request: Any) -> httpx.Response:
    headers = tenant.headers | {"idempotency-key": key}
    return await tenant.stack.http.post(path, headers=headers, **request)


async def operate(tenant: Subscriber, path: str, key: str, **request: Any) -> httpx.Response:
    """The same by the operator."""
    return await tenant.stack.http.post(path, headers={"idempotency-key": key}, **request)


def is_replay(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotent-replayed") == "true")


def refusal(answer: httpx.Response) -> str:
    """What a 409 says of the key."""
    assert answer.status_code == 409, answer.text
    message = str(answer.json()["message"])
    assert message.startswith("Idempotency-Key: ")
    return message


async def failed_job(tenant: Subscriber) -> str:
    return await tenant.run(FAILS)


async def attempts(tenant: Subscriber, job_id: str) -> int:
    return len((await tenant.data("GET", f"/api/v3/jobs/{job_id}"))["attempts"])


async def has_failed(tenant: Subscriber, job_id: str, *, attempt: int) -> None:
    async def look() -> bool:
        job = await tenant.data("GET", f"/api/v3/jobs/{job_id}")
        return (job["phase"], job["attempt"]) == ("failed", attempt)

    await until(look, what=f"the failure of attempt {attempt} of {job_id}")


async def test_an_endpoint_is_made_once_and_answered_with_its_secret(tenant: Subscriber) -> None:
    key = new_key()
    first = await post(tenant, ENDPOINTS, key, json=HOOK)
    again = await post(tenant, ENDPOINTS, key, json=HOOK)
    assert data_of(again) == data_of(first)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert len((await tenant.data("GET", ENDPOINTS))["items"]) == 1


async def test_a_replay_shows_what_became_of_the_endpoint(tenant: Subscriber) -> None:
    key = new_key()
    made = data_of(await post(tenant, ENDPOINTS, key, json=HOOK))
    await tenant.data("PATCH", f"{ENDPOINTS}/{made['id']}", json={"enabled": False})
    again = data_of(await post(tenant, ENDPOINTS, key, json=HOOK))
    assert (again["id"], again["secret"], again["enabled"]) == (made["id"], made["secret"], False)


async def test_ten_at_once_make_one_and_are_answered_alike(tenant: Subscriber) -> None:
    key = new_key()
    answers = await asyncio.gather(*(post(tenant, ENDPOINTS, key, json=HOOK) for _ in range(10)))
    made = data_of(answers[0])
    assert [data_of(one) for one in answers] == [made] * 10
    assert sum(is_replay(one) for one in answers) == 9
    assert [one["id"] for one in (await tenant.data("GET", ENDPOINTS))["items"]] == [made["id"]]


async def test_another_body_under_the_key_is_a_conflict(tenant: Subscriber) -> None:
    key = new_key()
    await post(tenant, ENDPOINTS, key, json=HOOK)
    assert "another request" in refusal(await post(tenant, ENDPOINTS, key, json=HOOK | {"scheme": "v3"}))
    assert len((await tenant.data("GET", ENDPOINTS))["items"]) == 1


async def test_a_key_of_another_route_is_a_conflict_both_ways(tenant: Subscriber) -> None:
    of_job, of_endpoint = new_key(), new_key()
    job_id = data_of(await post(tenant, f"/api/v3/{FLUX}", of_job, json={"prompt": "a lake"}))["id"]
    await post(tenant, ENDPOINTS, of_endpoint, json=HOOK)
    for path, key, body in (
        (ENDPOINTS, of_job, HOOK),
        (ACTIONS, of_job, CANCEL_ALL),
        (f"/api/v3/{FLUX}", of_endpoint, {"prompt": "a lake"}),
        (f"/api/v3/jobs/{job_id}/redrive", of_endpoint, {}),
    ):
        assert "another request" in refusal(await post(tenant, path, key, json=body))
    assert len((await tenant.data("GET", ENDPOINTS))["items"]) == 1
    assert len((await tenant.data("GET", "/api/v3/jobs"))["items"]) == 1


async def test_what_was_removed_is_not_made_again(tenant: Subscriber) -> None:
    key = new_key()
    made = data_of(await post(tenant, ENDPOINTS, key, json=HOOK))
    await tenant.data("DELETE", f"{ENDPOINTS}/{made['id']}")
    assert refusal(await post(tenant, ENDPOINTS, key, json=HOOK)).endswith("was removed.")
    assert (await tenant.data("GET", ENDPOINTS))["items"] == []


async def test_what_is_refused_leaves_the_key_free(tenant: Subscriber) -> None:
    key = new_key()
    assert (await post(tenant, ENDPOINTS, key, json=HOOK | {"events": []})).status_code == 400
    assert (await post(tenant, f"{ENDPOINTS}/{'0' * 32}/test", key)).status_code == 404
    assert (await post(tenant, f"/api/v3/jobs/{'0' * 32}/redrive", key)).status_code == 404
    assert not is_replay(await post(tenant, ENDPOINTS, key, json=HOOK))
    (made,) = (await tenant.data("GET", ENDPOINTS))["items"]
    await tenant.data("PATCH", f"{ENDPOINTS}/{made['id']}", json={"enabled": False})
    test, key = f"{ENDPOINTS}/{made['id']}/test", new_key()
    assert (await post(tenant, test, key)).status_code == 409
    await tenant.data("PATCH", f"{ENDPOINTS}/{made['id']}", json={"enabled": True})
    assert not is_replay(await post(tenant, test, key))


async def test_a_key_of_another_tenant_is_another_key(tenant: Subscriber, both_hooked: Hooked) -> None:
    key, other = new_key(), await new_subscriber(both_hooked)
    mine, theirs = [data_of(await post(one, ENDPOINTS, key, json=HOOK)) for one in (tenant, other)]
    assert mine["id"] != theirs["id"]
    assert mine["secret"] != theirs["secret"]


async def test_an_action_is_ordered_once_and_told_as_it_stands(tenant: Subscriber) -> None:
    job_id, key = await failed_job(tenant), new_key()
    wanted = {"verb": "dismiss", "ids": [job_id]}
    first = data_of(await post(tenant, ACTIONS, key, json=wanted | {"dry_run": True}))
    assert first == {"dry_run": True, "expected": 1}
    ordered = data_of(await post(tenant, ACTIONS, key, json=wanted))

    async def is_finished() -> bool:
        found = await tenant.data("GET", f"{ACTIONS}/{ordered['id']}")
        return bool(found["state"] == "finished")

    await until(is_finished, what="the end of the action")
    again = await post(tenant, ACTIONS, key, json=wanted)
    assert is_replay(again)
    told = data_of(again)
    assert (told["id"], told["state"], told["done"]) == (ordered["id"], "finished", 1)
    assert len((await tenant.data("GET", ACTIONS))["items"]) == 1


async def test_an_api_key_is_told_once_and_named_afterwards(tenant: Subscriber) -> None:
    key, name = new_key(), f"n-{new_key()}"
    wanted = {"name": name, "scopes": ["read"]}
    made = data_of(await post(tenant, KEYS, key, json=wanted))
    again = await post(tenant, KEYS, key, json=wanted)
    said = refusal(again)
    assert (name in said, made["id"] in said, "revoke" in said) == (True, True, True)
    assert made["key"] not in again.text
    assert [one["name"] for one in (await tenant.data("GET", KEYS))["items"]].count(name) == 1
    assert "another request" in refusal(await post(tenant, KEYS, key, json=wanted | {"scopes": ["submit"]}))


async def test_a_tenant_is_added_once_and_told_as_it_stands(tenant: Subscriber) -> None:
    key, wanted = new_key(), {"name": f"n-{new_key()}", "weight": 2}
    first = await operate(tenant, TENANTS, key, json=wanted)
    again = await operate(tenant, TENANTS, key, json=wanted)
    assert data_of(again) == data_of(first)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert (await operate(tenant, TENANTS, new_key(), json=wanted)).status_code == 409


async def test_a_job_that_fails_again_is_not_redriven_again(tenant: Subscriber) -> None:
    job_id, key = await failed_job(tenant), new_key()
    redrive = f"/api/v3/jobs/{job_id}/redrive"
    assert not is_replay(await post(tenant, redrive, key))
    await has_failed(tenant, job_id, attempt=2)
    again = await post(tenant, redrive, key)
    assert (is_replay(again), data_of(again)["phase"], data_of(again)["attempt"]) == (True, "failed", 2)
    assert await attempts(tenant, job_id) == 2
    data_of(await post(tenant, redrive, new_key()))
    await has_failed(tenant, job_id, attempt=3)


async def test_five_redrives_at_once_are_one(tenant: Subscriber) -> None:
    job_id, key = await failed_job(tenant), new_key()
    answers = await asyncio.gather(*(post(tenant, f"/api/v3/jobs/{job_id}/redrive", key) for _ in range(5)))
    assert {data_of(one)["id"] for one in answers} == {job_id}
    assert sum(is_replay(one) for one in answers) == 4
    await has_failed(tenant, job_id, attempt=2)
    assert await attempts(tenant, job_id) == 2


async def test_a_redrive_of_what_was_deleted_says_so(tenant: Subscriber) -> None:
    job_id, key = await failed_job(tenant), new_key()
    await post(tenant, f"/api/v3/jobs/{job_id}/redrive", key)
    await has_failed(tenant, job_id, attempt=2)
    await tenant.data("POST", "/api/v3/predictions/delete", json={"ids": [job_id]})
    assert refusal(await post(tenant, f"/api/v3/jobs/{job_id}/redrive", key)).endswith("was removed.")


async def test_what_fails_again_in_a_batch_is_not_retried_again(tenant: Subscriber) -> None:
    batch_id = await tenant.batch(FAILS, "a lake")

    async def has_ended() -> Json | None:
        batch: Json = await tenant.data("GET", f"/api/v3/batches/{batch_id}")
        return batch if batch["state"] == "completed" and batch["counts"]["failed"] == 1 else None

    ended = await until(has_ended, what="the end of the batch")
    assert ended is not None
    (failure,) = ended["failures"]
    path, asked = f"/api/v3/batches/{batch_id}/retry-failed", {"fingerprint": failure["fingerprint"]}
    (job,) = (await tenant.data("GET", f"/api/v3/batches/{batch_id}/jobs?status=failed"))["items"]
    key = new_key()
    first = await post(tenant, path, key, params=asked)
    assert (is_replay(first), data_of(first)["retrying"]) == (False, 1)
    at_once = await post(tenant, path, key, params=asked)
    assert (is_replay(at_once), data_of(at_once)["retrying"]) == (True, 0)
    await has_failed(tenant, job["id"], attempt=2)
    await until(has_ended, what="the end of the retry")
    assert is_replay(await post(tenant, path, key, params=asked))
    assert "another request" in refusal(await post(tenant, path, key))
    assert await attempts(tenant, job["id"]) == 2


async def test_a_delivery_that_dies_again_is_not_sent_again(tenant: Subscriber) -> None:
    path, key = path_of("410"), new_key()
    await tenant.run(webhook=tenant.receiver.url + path)
    dead = await tenant.delivery_in("dead")
    again = f"{DELIVERIES}/{dead['id']}/redeliver"
    assert not is_replay(await post(tenant, again, key))
    await tenant.receiver.wait_for(path, 2)
    assert (await tenant.delivery_in("dead"))["attempted"] == 2
    replay = await post(tenant, again, key)
    assert (is_replay(replay), data_of(replay)["state"], data_of(replay)["attempted"]) == (True, "dead", 2)
    assert len(tenant.receiver.got[path]) == 2


async def test_what_died_since_all_dead_were_sent_again_is_not_sent(tenant: Subscriber) -> None:
    path, key, asked = path_of("410"), new_key(), {"state": "dead", "since": ALWAYS}
    await tenant.run(webhook=tenant.receiver.url + path)
    await tenant.delivery_in("dead")
    first = await post(tenant, f"{DELIVERIES}/redeliver", key, params=asked)
    assert (is_replay(first), data_of(first)) == (False, {"dry_run": False, "count": 1})
    await tenant.receiver.wait_for(path, 2)
    assert (await tenant.delivery_in("dead"))["attempted"] == 2
    again = await post(tenant, f"{DELIVERIES}/redeliver", key, params=asked)
    assert (is_replay(again), data_of(again)) == (True, {"dry_run": False, "count": 0})
    counted = await tenant.data("POST", f"{DELIVERIES}/redeliver", params=asked | {"dry_run": "true"})
    assert counted["count"] == 1


async def test_a_repetition_sends_what_an_order_that_broke_off_has_left(tenant: Subscriber) -> None:
    path, key, asked = path_of("410,200"), new_key(), {"state": "dead", "since": ALWAYS}
    await tenant.run(webhook=tenant.receiver.url + path)
    dead = await tenant.delivery_in("dead")
    # As a server leaves it that died before it came to this one.
    await tenant.stack.ledger.change(
        "UPDATE deliveries SET state = 'pending', due_at = :far, finished_at = NULL WHERE id = :id",
        far=2**52,
        id=dead["id"],
    )
    assert data_of(await post(tenant, f"{DELIVERIES}/redeliver", key, params=asked))["count"] == 0
    await tenant.stack.ledger.change(
        "UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = 1700000000000 WHERE id = :id",
        id=dead["id"],
    )
    again = await post(tenant, f"{DELIVERIES}/redeliver", key, params=asked)
    assert (is_replay(again), data_of(again)["count"]) == (True, 1)
    await tenant.receiver.wait_for(path, 2)


async def test_a_test_is_sent_once(tenant: Subscriber) -> None:
    path, key = path_of("200"), new_key()
    made = await tenant.subscribe(path)
    first = await post(tenant, f"{ENDPOINTS}/{made['id']}/test", key)
    again = await post(tenant, f"{ENDPOINTS}/{made['id']}/test", key)
    assert data_of(again) == data_of(first)
    assert is_replay(again)
    assert [one["id"] for one in await tenant.deliveries()] == [data_of(first)["delivery"]]


async def test_a_secret_is_rotated_once_and_told_again(tenant: Subscriber) -> None:
    made, key = await tenant.subscribe(path_of("200")), new_key()
    rotate = f"{ENDPOINTS}/{made['id']}/rotate-secret"
    first, again = [await post(tenant, rotate, key) for _ in range(2)]
    assert data_of(again) == data_of(first)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert data_of(first)["secret"] != made["secret"]
    assert data_of(await post(tenant, rotate, new_key()))["secret"] != data_of(first)["secret"]


@pytest.mark.parametrize("wrong", ["", "x" * 256])
async def test_a_key_that_is_none_is_refused(tenant: Subscriber, wrong: str) -> None:
    dry = {"state": "dead", "since": ALWAYS, "dry_run": "true"}
    for answer in (
        await post(tenant, ENDPOINTS, wrong, json=HOOK),
        await post(tenant, ACTIONS, wrong, json=CANCEL_ALL | {"dry_run": True}),
        await post(tenant, f"{DELIVERIES}/redeliver", wrong, params=dry),
    ):
        assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
