"""What endpoints go through: other secrets, other addresses, days of silence, and their end."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.clock import DAY, from_rfc3339
from tests.e2e.hooked import Hooked, path_of
from tests.e2e.program import until
from tests.e2e.stack import Json
from tests.e2e.subscribing import DELIVERIES, ENDPOINTS, Subscriber, believed, new_subscriber


async def is_disabled(tenant: Subscriber, made: Json) -> Json:
    """The endpoint, once it is."""
    found: Json = {}

    async def has_happened() -> bool:
        nonlocal found
        found = await tenant.endpoint(made)
        return not found["enabled"]

    await until(has_happened, what="an endpoint to be disabled")
    return found


async def rotated(tenant: Subscriber, made: Json) -> Json:
    answered: Json = await tenant.data("POST", f"{ENDPOINTS}/{made['id']}/rotate-secret")
    return answered


async def end_day(tenant: Subscriber, made: Json) -> None:
    """The old secret's time is over."""
    await tenant.stack.ledger.change(
        "UPDATE endpoints SET old_secret_until = 1 WHERE id = :id", id=made["id"]
    )


async def changed(tenant: Subscriber, made: Json, **changes: object) -> Json:
    answered: Json = await tenant.data("PATCH", f"{ENDPOINTS}/{made['id']}", json=changes)
    return answered


async def test_after_a_rotation_the_retries_are_signed_with_both_secrets(tenant: Subscriber) -> None:
    path = path_of("404,404,200")
    made = await tenant.subscribe(path)
    await tenant.run()
    await tenant.receiver.wait_for(path)
    again = await rotated(tenant, made)
    assert again["secret"] != made["secret"]
    assert 0 < from_rfc3339(again["old_secret_until"]) - from_rfc3339(made["created_at"]) - DAY < 60_000
    await tenant.delivery_in("delivered")
    first, *_, last = tenant.receiver.got[path]
    assert (first.message_id, first.body) == (last.message_id, last.body)
    new_alone, old_alone = last.headers["webhook-signature"].split(" ")
    assert believed(last, again["secret"]) == believed(last, made["secret"])
    assert (new_alone[:3], old_alone[:3]) == ("v1,", "v1,")
    last.headers["webhook-signature"] = new_alone
    assert believed(last, again["secret"])["type"] == "job.completed"


async def test_a_day_after_a_rotation_the_old_secret_signs_no_more(tenant: Subscriber) -> None:
    path = path_of("200")
    made = await tenant.subscribe(path)
    again = await rotated(tenant, made)
    await end_day(tenant, made)
    await tenant.run()
    (received,) = await tenant.receiver.wait_for(path)
    assert " " not in received.headers["webhook-signature"]
    assert believed(received, again["secret"])["type"] == "job.completed"
    assert (await tenant.data("GET", f"{ENDPOINTS}/{made['id']}/secret"))["secret"] == again["secret"]


@pytest.mark.parametrize(("known", "attempts"), [("old", 2), ("new", 1)])
async def test_in_wavespeeds_form_who_knows_either_secret_hears_within_two_attempts(
    tenant: Subscriber, known: str, attempts: int
) -> None:
    path = path_of("200")
    made = await tenant.subscribe(path, scheme="v3")
    again = await rotated(tenant, made)
    tenant.receiver.trusts[path] = {"old": made, "new": again}[known]["secret"]
    await tenant.run()
    heard = await tenant.delivery_in("delivered")
    assert len(tenant.receiver.got[path]) == attempts
    await tenant.data("POST", f"{DELIVERIES}/{heard['id']}/redeliver")
    await tenant.delivery_in("delivered")
    assert len(tenant.receiver.got[path]) == 2 * attempts
    assert {one.message_id for one in tenant.receiver.got[path]} == {heard["id"]}


async def test_a_secret_signs_for_its_day_also_after_another_rotation(tenant: Subscriber) -> None:
    path = path_of("200")
    made = await tenant.subscribe(path)
    lost, known = await rotated(tenant, made), await rotated(tenant, made)
    await tenant.run()
    (received,) = await tenant.receiver.wait_for(path)
    assert len(received.headers["webhook-signature"].split(" ")) == 3
    for one in (made, lost, known):
        assert believed(received, one["secret"])["type"] == "job.completed"


async def test_in_wavespeeds_form_the_two_secrets_take_turns_for_a_day(tenant: Subscriber) -> None:
    path = path_of("404,404,404,200")
    made = await tenant.subscribe(path, scheme="v3")
    again = await rotated(tenant, made)
    await tenant.run()
    await tenant.delivery_in("delivered")
    new_signed = [one.is_signed_with(again["secret"]) for one in tenant.receiver.got[path]]
    old_signed = [one.is_signed_with(made["secret"]) for one in tenant.receiver.got[path]]
    assert (new_signed, old_signed) == ([True, False, True, False], [False, True, False, True])


async def test_in_wavespeeds_form_a_day_after_a_rotation_every_attempt_has_the_new_secret(
    tenant: Subscriber,
) -> None:
    path = path_of("404,200")
    made = await tenant.subscribe(path, scheme="v3")
    again = await rotated(tenant, made)
    await end_day(tenant, made)
    await tenant.run()
    await tenant.delivery_in("delivered")
    assert [one.is_signed_with(again["secret"]) for one in tenant.receiver.got[path]] == [True, True]


async def test_two_rotations_at_once_leave_one_secret_that_somebody_knows(tenant: Subscriber) -> None:
    made = await tenant.subscribe(path_of("200"))
    path = f"{ENDPOINTS}/{made['id']}/rotate-secret"
    answers = await asyncio.gather(*(tenant.ask("POST", path) for _ in range(4)))
    told = {answer.json()["data"]["secret"] for answer in answers if answer.status_code == 200}
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (await tenant.data("GET", f"{ENDPOINTS}/{made['id']}/secret"))["secret"] in told


async def test_a_410_disables_it_and_the_others_are_told(tenant: Subscriber) -> None:
    gone, watching = path_of("410"), path_of("200")
    made = await tenant.subscribe(gone)
    watcher = await tenant.subscribe(watching, "endpoint.disabled")
    await tenant.run()
    found = await is_disabled(tenant, made)
    assert found["disabled_because"] == "it answered 410 Gone"
    (received,) = await tenant.receiver.wait_for(watching)
    event = believed(received, watcher["secret"])
    assert (event["type"], event["data"]) == ("endpoint.disabled", found)
    await tenant.run()
    assert len(await tenant.deliveries(endpoint=made["id"])) == 1
    assert len(tenant.receiver.got[gone]) == 1


async def test_one_that_nobody_has_heard_at_for_five_days_is_disabled_by_a_death(tenant: Subscriber) -> None:
    path = path_of("404")
    made = await tenant.subscribe(path)
    await tenant.run()
    await tenant.delivery_in("dead", last_try=True)
    found = await tenant.endpoint(made)
    assert (found["enabled"], found["failing_since"] != "") == (True, True)
    await tenant.stack.ledger.change(
        "UPDATE endpoints SET failing_since = failing_since - :days WHERE id = :id",
        days=5 * DAY,
        id=made["id"],
    )
    second = await tenant.run()
    await tenant.delivery_in("dead", last_try=True, job=second)
    found = await tenant.endpoint(made)
    assert found["disabled_because"] == "a delivery died, and none had been heard for five days"


async def test_what_is_heard_ends_its_days_of_failing(tenant: Subscriber) -> None:
    made = await tenant.subscribe(path_of("404,200"))
    await tenant.run()
    await tenant.delivery_in("delivered")
    assert (await tenant.endpoint(made))["failing_since"] == ""


async def test_a_disabled_one_gets_nothing_until_it_is_enabled(tenant: Subscriber) -> None:
    path = path_of("404,200")
    made = await tenant.subscribe(path)
    await tenant.run()
    await tenant.receiver.wait_for(path)
    await changed(tenant, made, enabled=False)
    dead = await tenant.delivery_in("dead")
    assert dead["because"] == "the endpoint was disabled: disabled by its owner"
    await tenant.run()
    again = f"{DELIVERIES}/{dead['id']}/redeliver"
    refused = await tenant.ask("POST", again)
    assert (refused.status_code, "disabled" in refused.json()["message"]) == (409, True)
    assert (await tenant.ask("POST", f"{ENDPOINTS}/{made['id']}/test")).status_code == 409
    assert (await changed(tenant, made, enabled=True))["enabled"]
    assert (await tenant.data("POST", again))["because"] == ""
    await tenant.receiver.wait_for(path, 2)
    assert [one["id"] for one in await tenant.deliveries()] == [dead["id"]]


async def test_what_waits_goes_to_its_new_address(tenant: Subscriber) -> None:
    wrong, right = path_of("404"), path_of("200")
    made = await tenant.subscribe(wrong)
    await tenant.run()
    await tenant.receiver.wait_for(wrong)
    await changed(tenant, made, url=tenant.receiver.url + right)
    await tenant.delivery_in("delivered")
    (received,) = tenant.receiver.got[right]
    assert received.message_id == tenant.receiver.got[wrong][0].message_id
    assert (await tenant.endpoint(made))["failing_since"] == ""


async def test_a_removed_one_leaves_what_it_was_told_and_nothing_is_sent(tenant: Subscriber) -> None:
    path = path_of("404")
    made = await tenant.subscribe(path)
    await tenant.run()
    await tenant.receiver.wait_for(path)
    assert (await tenant.data("DELETE", f"{ENDPOINTS}/{made['id']}"))["removed"]
    dead = await tenant.delivery_in("dead", endpoint=made["id"])
    assert dead["because"] == "the endpoint was removed"
    assert (await tenant.ask("POST", f"{DELIVERIES}/{dead['id']}/redeliver")).status_code == 409
    assert (await tenant.ask("GET", f"{ENDPOINTS}/{made['id']}")).status_code == 404


async def test_a_test_event_is_delivered_at_once_whatever_it_subscribed(tenant: Subscriber) -> None:
    path = path_of("200")
    made = await tenant.subscribe(path, "batch.completed")
    delivery_id = (await tenant.data("POST", f"{ENDPOINTS}/{made['id']}/test"))["delivery"]
    (received,) = await tenant.receiver.wait_for(path)
    event = believed(received, made["secret"])
    assert received.message_id == delivery_id
    assert (event["type"], event["data"]["endpoint"]["id"]) == ("endpoint.test", made["id"])
    told = await tenant.delivery_in("delivered", endpoint=made["id"])
    assert (told["id"], told["event"], told["job"], told["batch"]) == (delivery_id, "endpoint.test", "", "")


async def test_the_dead_of_one_endpoint_and_time_are_sent_again(tenant: Subscriber) -> None:
    paths = [path_of("404,200"), path_of("404,200")]
    first, second = [await tenant.subscribe(path) for path in paths]
    await tenant.run()
    for one in (first, second):
        await tenant.receiver.wait_for(paths[one is second])
        await tenant.stack.ledger.change(
            "UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = created_at"
            " WHERE endpoint_id = :id",
            id=one["id"],
        )
    dead = await tenant.delivery_in("dead", endpoint=first["id"])
    asked = {"state": "dead", "since": dead["created_at"], "until": dead["created_at"]}
    early = asked | {"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}
    again = f"{DELIVERIES}/redeliver"
    assert (await tenant.data("POST", again, params=early))["count"] == 0
    assert (await tenant.data("POST", again, params=asked | {"dry_run": "1"}))["count"] == 2
    assert (await tenant.data("POST", again, params=asked | {"endpoint": first["id"]}))["count"] == 1
    await tenant.receiver.wait_for(paths[0], 2)
    assert len(tenant.receiver.got[paths[1]]) == 1


async def test_secrets_that_change_places_in_the_database_sign_nothing(tenant: Subscriber) -> None:
    paths = [path_of("200"), path_of("200")]
    first, second = [await tenant.subscribe(path) for path in paths]
    sealed = "SELECT secret FROM endpoints WHERE id = :id"
    texts = [await tenant.stack.ledger.one(sealed, id=one["id"]) for one in (second, first)]
    for one, text in zip((first, second), texts, strict=True):
        await tenant.stack.ledger.change(
            "UPDATE endpoints SET secret = :text WHERE id = :id", text=text, id=one["id"]
        )
    for one in (first, second):
        assert (await tenant.ask("GET", f"{ENDPOINTS}/{one['id']}/secret")).status_code == 409
    await tenant.run()
    dead = await tenant.delivery_in("dead", last_try=True, endpoint=first["id"])
    (*_, attempt) = (await tenant.data("GET", f"{DELIVERIES}/{dead['id']}"))["attempts"]
    assert attempt["error"] == "its secret cannot be opened with any ORCHESTRATOR_SECRET in use"
    assert [tenant.receiver.got[path] for path in paths] == [[], []]


@pytest.mark.parametrize("restart_with", ["new,old", "new"])
async def test_secrets_are_sealed_anew_when_our_own_secret_changes(hooked: Hooked, restart_with: str) -> None:
    stack, receiver = hooked
    names = {"old": "o" * 40, "new": "n" * 40}
    await stack.up.stop()
    await stack.up.start(ORCHESTRATOR_SECRET=names["old"])
    tenant = await new_subscriber(hooked)
    path = path_of("200")
    made = await tenant.subscribe(path)
    stored = "SELECT secret FROM endpoints WHERE id = :id"
    before = await stack.ledger.one(stored, id=made["id"])
    assert made["secret"].removeprefix("whsec_") not in before
    await stack.up.stop()
    await stack.up.start(ORCHESTRATOR_SECRET=",".join(names[name] for name in restart_with.split(",")))
    if restart_with == "new":
        answer = await tenant.ask("GET", f"{ENDPOINTS}/{made['id']}/secret")
        assert (answer.status_code, "rotate" in answer.json()["message"]) == (409, True)
        made = await rotated(tenant, made)
    else:

        async def is_resealed() -> bool:
            return bool(await stack.ledger.one(stored, id=made["id"]) != before)

        await until(is_resealed, what="the secret to be sealed anew")
        await stack.up.stop()
        await stack.up.start(ORCHESTRATOR_SECRET=names["new"])
    assert (await tenant.data("GET", f"{ENDPOINTS}/{made['id']}/secret"))["secret"] == made["secret"]
    await tenant.run()
    (received,) = await receiver.wait_for(path)
    assert believed(received, made["secret"])["type"] == "job.completed"
