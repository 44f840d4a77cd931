"""Deliveries can be looked at and sent again, under the same id, by whom they belong to."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.e2e.hooked import Hooked, path_of, secret_of
from tests.e2e.stack import Json, Stack, data_of
from tests.e2e.test_deliveries import delivery_in
from tests.e2e.test_tenants import key_of_another

DELIVERIES = "/api/v3/deliveries"


async def ended_delivery(hooked: Hooked, path: str, state: str, query: str = "") -> str:
    """The id of a delivery to this path that has ended so."""
    stack, receiver = hooked
    job_id = await stack.created(params={"webhook": receiver.url + path + query})
    return str((await delivery_in(stack, job_id, state))["id"])


async def read(stack: Stack, delivery_id: str) -> Json:
    found: Json = data_of(await stack.http.get(f"{DELIVERIES}/{delivery_id}"))
    return found


async def test_a_dead_delivery_tells_of_its_attempts_and_hides_the_secret_of_its_url(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410")
    dead = await ended_delivery(hooked, path, "dead", "?token=secret")
    answer = await stack.http.get(f"{DELIVERIES}/{dead}")
    told = data_of(answer)
    assert (told["state"], told["url"], told["failures"]) == ("dead", receiver.url + path, 1)
    (attempt,) = told["attempts"]
    assert (attempt["number"], attempt["status"], attempt["answer"]) == (1, 410, "thank you")
    assert "secret" not in answer.text


async def test_a_dead_delivery_is_sent_again_under_its_id_with_a_new_signature(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410,200")
    dead = await ended_delivery(hooked, path, "dead")
    again = data_of(await stack.http.post(f"{DELIVERIES}/{dead}/redeliver"))
    assert (again["state"], again["failures"], again["finished_at"]) == ("pending", 0, "")
    first, second = await receiver.wait_for(path, 2)
    assert (first.message_id, first.body) == (second.message_id, second.body)
    assert second.is_signed_with(await secret_of(stack))
    await delivery_in(stack, dead.rpartition("-")[0], "delivered")
    told = await read(stack, dead)
    assert [(one["number"], one["status"]) for one in told["attempts"]] == [(1, 410), (2, 200)]


async def test_a_delivered_one_is_sent_again_and_one_that_is_being_tried_is_not(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("200,500")
    delivered = await ended_delivery(hooked, path, "delivered")
    assert (await stack.http.post(f"{DELIVERIES}/{delivered}/redeliver")).status_code == 200
    await receiver.wait_for(path, 2)
    refused = await stack.http.post(f"{DELIVERIES}/{delivered}/redeliver")
    assert (refused.status_code, refused.json()["message"].endswith("half a minute.")) == (409, True)


async def test_all_dead_since_a_time_are_counted_and_then_sent_again(hooked: Hooked) -> None:
    stack, receiver = hooked
    paths = [path_of("410,200") for _ in range(3)]
    early, *late = [await ended_delivery(hooked, path, "dead") for path in paths]
    since = {"state": "dead", "since": (await read(stack, late[0]))["finished_at"]}
    counted = data_of(await stack.http.post(f"{DELIVERIES}/redeliver", params=since | {"dry_run": "true"}))
    assert counted == {"dry_run": True, "count": 2}
    sent = data_of(await stack.http.post(f"{DELIVERIES}/redeliver", params=since))
    assert sent == {"dry_run": False, "count": 2}
    for path in paths[1:]:
        await receiver.wait_for(path, 2)
    assert (await read(stack, early))["state"] == "dead"
    assert len(receiver.got[paths[0]]) == 1


async def test_deliveries_are_listed_newest_first_by_state_and_job(hooked: Hooked) -> None:
    stack, _ = hooked
    first = await ended_delivery(hooked, path_of("410"), "dead")
    second = await ended_delivery(hooked, path_of("410"), "dead")

    async def ids(**asked: str) -> list[str]:
        page = data_of(await stack.http.get(DELIVERIES, params=asked))
        return [one["id"] for one in page["items"]]

    assert await ids(state="dead", limit="2") == [second, first]
    assert (await ids(state="dead", before=second))[0] == first
    assert await ids(job=first.rpartition("-")[0]) == [first]
    assert await ids(job=first.rpartition("-")[0], state="delivered") == []


async def test_another_tenants_deliveries_are_not_there(hooked: Hooked) -> None:
    stack, _ = hooked
    mine = await ended_delivery(hooked, path_of("410"), "dead")
    theirs = await key_of_another(stack)
    for method, path in (("GET", mine), ("POST", f"{mine}/redeliver"), ("GET", quote("'; --", safe=""))):
        answer = await stack.http.request(method, f"{DELIVERIES}/{path}", headers=theirs)
        assert answer.status_code == 404, answer.text
        assert mine not in answer.text
    assert data_of(await stack.http.get(DELIVERIES, headers=theirs)) == {"items": []}
    all_dead = {"state": "dead", "since": "2020-01-01T00:00:00Z"}
    answer = await stack.http.post(f"{DELIVERIES}/redeliver", params=all_dead, headers=theirs)
    assert data_of(answer)["count"] == 0
    assert (await read(stack, mine))["state"] == "dead"


async def test_a_key_that_may_only_read_sends_nothing_again(hooked: Hooked) -> None:
    stack, _ = hooked
    reader = await key_of_another(stack, scopes="read")
    for path in ("anything/redeliver", "redeliver?state=dead&since=2020-01-01"):
        assert (await stack.http.post(f"{DELIVERIES}/{path}", headers=reader)).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "?state=lost", "state"),
        ("GET", "?limit=0", "limit"),
        ("POST", "/redeliver", "state"),
        ("POST", "/redeliver?state=delivered&since=2020-01-01", "state"),
        ("POST", "/redeliver?state=dead", "since"),
        ("POST", "/redeliver?state=dead&since=yesterday", "since"),
        ("POST", "/redeliver?state=dead&since=2020-01-01&dry_run=maybe", "dry_run"),
    ],
)
async def test_a_wrong_question_is_refused_by_its_field(
    hooked: Hooked, method: str, path: str, field: str
) -> None:
    stack, _ = hooked
    answer = await stack.http.request(method, DELIVERIES + path)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text
