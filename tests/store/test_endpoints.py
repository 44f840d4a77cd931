"""Endpoints as rows, on both databases: who is told, what answers do to them, and what races leave behind."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from orchestrator import policy
from orchestrator.evidence import Source
from orchestrator.ids import new_id
from orchestrator.job import Job, Phase
from orchestrator.store import (
    deliveries,
    endpoint_health,
    endpoint_queue,
    endpoint_secrets,
    endpoints,
    outbox,
    retention,
)
from orchestrator.store.deliveries import Due, Notice
from orchestrator.store.endpoints import Endpoint
from orchestrator.store.store import Store
from orchestrator.webhook_events import Event
from tests.factories import T0, TENANT, add_tenant, make_id, stored_job
from tests.store import decisions
from tests.store.bulk import jobs_of, running
from tests.store.locks import until_blocked
from tests.store.rows import count, execute, select
from tests.store.test_deliveries import attempted, take

COMPLETED, DISABLED = "job.completed", "endpoint.disabled"


async def stored(store: Store, **changes: Any) -> Endpoint:
    needed: dict[str, Any] = {
        "id": make_id(),
        "tenant_id": TENANT,
        "url": "https://user.example/hook",
        "host": "user.example",
        "events": COMPLETED,
        "description": "",
        "scheme": "v1",
        "secret": "s1.old.abc",
        "created_at": T0,
    }
    made = Endpoint(**(needed | changes))
    assert await store.write(endpoints.insert, new=made, actor="key 1")
    return made


async def completed(store: Store, **changes: Any) -> Job:
    job = await stored_job(store, Phase.ACCEPTED, **changes)
    applied = await store.change(job.id, decisions.complete, source=Source.POLL)
    assert applied is not None
    return applied.job


async def found(store: Store, endpoint: Endpoint) -> Endpoint:
    now = await store.read(endpoints.find, tenant_id=endpoint.tenant_id, endpoint_id=endpoint.id)
    assert now is not None
    return now


async def record(store: Store, due: Due, **changes: Any) -> bool:
    made = attempted(due, endpoint=due.endpoint, **changes)
    return await store.write(endpoint_health.record_attempt, attempted=made)


async def disable(store: Store, endpoint: Endpoint) -> None:
    await store.write(endpoints.disable, endpoint_id=endpoint.id, because="a test", now=T0)


async def move(store: Store, endpoint: Endpoint, url: str) -> None:
    await store.write(
        endpoints.change,
        tenant_id=TENANT,
        endpoint_id=endpoint.id,
        changes={"url": url, "host": deliveries.host_of(url)},
        is_enabled=None,
        actor="key 1",
        now=T0,
    )


async def states(store: Store, endpoint: Endpoint) -> list[Any]:
    return await select(
        store,
        "SELECT state, count(*) FROM deliveries WHERE endpoint_id = :id GROUP BY state ORDER BY state",
        id=endpoint.id,
    )


async def told(store: Store) -> list[str]:
    return sorted(row[0] for row in await select(store, "SELECT id FROM deliveries"))


async def test_an_end_is_told_to_its_webhook_and_to_who_listens_in_its_tenant(store: Store) -> None:
    another = await store.write(add_tenant)
    mine = await stored(store)
    theirs = await stored(store, tenant_id=another)
    await stored(store, events="job.failed batch.completed")
    await disable(store, await stored(store))
    job = await completed(store, webhook="https://user.example/own")
    other = await completed(store, tenant_id=another)
    expected = [
        f"{job.id}-1",
        f"{job.id}-1-{mine.id}-completed",
        f"{other.id}-1-{theirs.id}-completed",
    ]
    assert await told(store) == sorted(expected)


async def test_many_ends_of_one_group_are_each_told_once(store: Store) -> None:
    one, two = await stored(store), await stored(store)
    jobs = await asyncio.gather(*(completed(store) for _ in range(20)))
    expected = [f"{job.id}-1-{endpoint.id}-completed" for job in jobs for endpoint in (one, two)]
    assert await told(store) == sorted(expected)


async def test_what_is_told_is_written_in_the_transaction_of_the_end(postgres_store: Store) -> None:
    """By the number that PostgreSQL gives each row of the transaction that wrote it."""
    store = postgres_store
    await stored(store, events=f"{COMPLETED} batch.completed")
    alone = await completed(store, webhook="https://user.example/own")
    batch = await running(store, 1)
    (line,) = await jobs_of(store, batch)
    await store.change(line.id, decisions.complete, source=Source.POLL)
    for job, told in ((alone, 2), (line, 2)):
        writers = await select(
            store,
            "SELECT d.xmin = j.xmin FROM jobs j JOIN deliveries d"
            " ON d.job_id = j.id OR d.batch_id = j.batch_id WHERE j.id = :id",
            id=job.id,
        )
        assert [row[0] for row in writers] == [True] * told


async def test_what_was_told_while_it_was_disabled_ends_when_it_is_due(store: Store) -> None:
    endpoint = await stored(store)
    await completed(store)
    # As an end that is written beside the disabling: its delivery is pending all the same.
    await execute(store, "UPDATE endpoints SET disabled_at = 1, disabled_because = 'a test'")
    assert await take(store) == []
    ended = await select(store, "SELECT state, because FROM deliveries")
    assert ended == [("dead", "the endpoint was disabled or removed")]
    assert (await found(store, endpoint)).disabled_at == 1


async def test_a_disabled_endpoint_ends_a_bounded_number_at_once_and_the_others_when_they_are_due(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_queue, "_AT_A_TIME", 2)
    endpoint, other = await stored(store), await stored(store)
    for _ in range(5):
        await completed(store)
    await execute(store, "UPDATE deliveries SET host = 'other.example' WHERE endpoint_id = :id", id=other.id)
    await disable(store, endpoint)
    assert await states(store, endpoint) == [("dead", 2), ("pending", 3)]
    (last,) = await select(store, "SELECT max(id) FROM deliveries WHERE endpoint_id = :id", id=endpoint.id)
    assert await store.write(deliveries.take_deliveries, ids=[last[0]], now=T0) == []
    assert await states(store, endpoint) == [("dead", 5)]
    assert await states(store, other) == [("pending", 5)]


async def test_a_new_url_leads_a_bounded_number_on_at_once_and_the_others_when_they_are_due(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_queue, "_AT_A_TIME", 2)
    endpoint = await stored(store)
    for _ in range(5):
        await completed(store)
    await move(store, endpoint, "https://new.example/hook")
    hosts = "SELECT host, count(*) FROM deliveries GROUP BY host ORDER BY host"
    assert await select(store, hosts) == [("new.example", 2), ("user.example", 3)]
    taken = await take(store) + await take(store)
    assert [due.url for due in taken] == ["https://new.example/hook"] * 5
    assert await select(store, hosts) == [("new.example", 5)]


async def test_a_new_path_at_the_same_host_is_where_everything_goes_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_queue, "_AT_A_TIME", 1)
    endpoint = await stored(store)
    for _ in range(3):
        await completed(store)
    await move(store, endpoint, "https://user.example/new")
    taken = await take(store) + await take(store)
    assert [due.url for due in taken] == ["https://user.example/new"] * 3


async def test_an_answer_that_comes_after_the_disabling_still_counts(store: Store) -> None:
    endpoint = await stored(store)
    await completed(store)
    (due,) = await take(store)
    await disable(store, endpoint)
    assert not await record(store, due, status=200, is_delivered=True, due_at=None)
    assert await select(store, "SELECT state, because FROM deliveries") == [("delivered", None)]


async def test_a_410_of_a_url_ends_all_that_waits_for_it_and_nothing_else(store: Store) -> None:
    url = "https://user.example/own"
    gone, waiting = [await completed(store, webhook=url) for _ in range(2)]
    await completed(store, webhook=f"{url}/other")
    await completed(store, webhook=url, tenant_id=await store.write(add_tenant))
    await stored(store, url=url)
    await completed(store)
    due = {one.id: one for one in await take(store)}
    assert not await record(store, due[f"{gone.id}-1"], status=410, due_at=None)
    dead = await select(store, "SELECT id, because FROM deliveries WHERE state = 'dead' ORDER BY id")
    assert dead == [(f"{gone.id}-1", None), (f"{waiting.id}-1", "its URL answered 410 Gone")]
    assert not await record(store, due[f"{waiting.id}-1"], status=500)
    states = await select(store, "SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state")
    assert states == [("dead", 2), ("pending", 3)]


async def test_a_late_410_of_its_older_url_disables_nothing(store: Store) -> None:
    endpoint = await stored(store, failing_since=1)
    await completed(store)
    (due,) = await take(store)
    await move(store, endpoint, "https://user.example/new")
    assert not await record(store, due, status=410, due_at=None)
    now = await found(store, endpoint)
    assert (now.disabled_at, now.failing_since) == (None, None)


async def test_days_of_failing_count_from_the_first_failure_since_something_was_heard(store: Store) -> None:
    endpoint, at = await stored(store), T0 + 7
    for _ in range(3):
        await completed(store)
    first, second, third = await take(store)
    assert not await record(store, first, at=at, due_at=None)
    late = at + policy.ENDPOINT_FAILING_MS
    assert not await record(store, second, at=late - 1, due_at=None)
    assert (await found(store, endpoint)).failing_since == at
    assert await record(store, third, at=late, due_at=None)
    disabled = await found(store, endpoint)
    assert (disabled.disabled_at, disabled.disabled_because) == (
        late,
        "a delivery died, and none had been heard for five days",
    )


async def test_a_failure_that_is_tried_again_disables_nothing(store: Store) -> None:
    endpoint = await stored(store, failing_since=1)
    await completed(store)
    (due,) = await take(store)
    assert not await record(store, due)
    assert (await found(store, endpoint)).disabled_at is None


async def test_the_others_of_the_tenant_are_told_of_a_disabled_one(store: Store) -> None:
    another = await store.write(add_tenant)
    gone = await stored(store, events=f"{COMPLETED} {DISABLED}")
    watching = await stored(store, events=DISABLED)
    await stored(store, events=DISABLED, tenant_id=another)
    job = await completed(store)
    (due,) = await take(store)
    assert await record(store, due, status=410, due_at=None)
    (notice,) = [name for name in await told(store) if not name.startswith(job.id)]
    assert notice.endswith(f"-{watching.id}-disabled")
    (telling,) = await take(store, now=T0 + 60_000)
    assert telling.event == DISABLED
    assert isinstance(telling.told, Notice)
    assert msgspec.json.decode(telling.told.data)["id"] == gone.id


async def test_answers_of_one_endpoint_at_once_do_not_wait_in_a_circle(postgres_store: Store) -> None:
    """One of them disables it, which ends what the other is about to record."""
    store = postgres_store
    await stored(store)
    await stored(store, events=DISABLED)
    for _ in range(2):
        await completed(store)
    gone, failing = await take(store)
    release = asyncio.Event()
    holding = await hold(store, "SELECT 1 FROM endpoints FOR UPDATE", until=release)
    answers = [asyncio.create_task(record(store, gone, status=410, due_at=None))]
    await until_blocked(store, 1)
    answers.append(asyncio.create_task(record(store, failing, status=500)))
    await until_blocked(store, 2)
    release.set()
    assert await asyncio.gather(*answers, holding) == [True, False, None]
    assert len(await select(store, "SELECT id FROM deliveries WHERE event = 'endpoint.disabled'")) == 1


async def test_two_that_are_made_at_once_do_not_both_get_the_last_place(postgres_store: Store) -> None:
    store = postgres_store
    for _ in range(endpoints.MOST_PER_TENANT - 1):
        last = await stored(store)
    release = asyncio.Event()
    holding = await hold(store, "SELECT 1 FROM tenants FOR UPDATE", until=release)
    new = [msgspec.structs.replace(last, id=make_id()) for _ in range(2)]
    making = [asyncio.create_task(store.write(endpoints.insert, new=one, actor="key 1")) for one in new]
    await until_blocked(store, 2)
    release.set()
    await holding
    assert sorted(await asyncio.gather(*making)) == [False, True]


async def hold(store: Store, statement: str, *, until: asyncio.Event) -> asyncio.Task[None]:
    """A transaction that has done this statement, and ends when it is told to."""
    has_locked = asyncio.Event()

    def work(connection: Connection) -> None:
        connection.execute(text(statement))
        has_locked.set()
        await_only(until.wait())

    holding = asyncio.create_task(store.write(work))
    await has_locked.wait()
    return holding


async def test_only_one_of_two_rotations_at_once_is_believed(store: Store) -> None:
    was = await stored(store)
    done = await asyncio.gather(
        *(
            store.write(
                endpoint_secrets.rotate,
                was=was,
                secret=f"s1.new.{number}",
                old_secret="s1.new.old",
                old_secret_until=T0 + 99,
                actor="key 1",
                now=T0,
            )
            for number in range(2)
        )
    )
    assert sorted(done) == [False, True]
    assert (await found(store, was)).secret == f"s1.new.{done.index(True)}"


async def test_what_was_sealed_with_another_key_is_found_and_changed_unless_rotated_meanwhile(
    store: Store,
) -> None:
    was = await stored(store, old_secret="s1.old.x", old_secret_until=T0 + 99)
    await stored(store, secret="s1.new.abc")
    assert await store.read(endpoint_secrets.sealed_otherwise, prefix="s1.new.") == [was]
    await store.write(endpoint_secrets.reseal, was=was, secret="s1.new.y", old_secret="s1.new.x")
    await store.write(endpoint_secrets.reseal, was=was, secret="s1.new.z", old_secret=None)
    now = await found(store, was)
    assert (now.secret, now.old_secret, now.old_secret_until) == ("s1.new.y", "s1.new.x", T0 + 99)
    assert await store.read(endpoint_secrets.sealed_otherwise, prefix="s1.new.") == []


async def test_an_old_secret_is_forgotten_when_its_time_is_over(store: Store) -> None:
    kept = await stored(store, old_secret="s1.old.x", old_secret_until=T0 + 99)
    await store.write(endpoint_secrets.forget_old, now=T0 + 98)
    assert await found(store, kept) == kept
    await store.write(endpoint_secrets.forget_old, now=T0 + 99)
    assert (await found(store, kept)).old_secret is None


async def test_old_notices_are_deleted_with_their_attempts_and_nothing_else(store: Store) -> None:
    endpoint = await stored(store)
    await completed(store)
    told = {"event": Event.ENDPOINT_TEST, "data": {}, "name": new_id(T0), "now": T0}
    await store.write(outbox.tell_one, endpoint=endpoint, **told)
    for due in await take(store):
        assert not await record(store, due, status=200, is_delivered=True, due_at=None)
    await store.write(retention.delete_old_notices, ended_before=T0 + 7)
    assert await count(store, "deliveries") == 2
    await store.write(retention.delete_old_notices, ended_before=T0 + 8)
    assert (await count(store, "deliveries"), await count(store, "delivery_attempts")) == (1, 1)


async def test_the_tenants_that_listen_are_those_with_an_enabled_endpoint(store: Store) -> None:
    await disable(store, await stored(store, tenant_id=await store.write(add_tenant)))
    await stored(store)
    await stored(store)
    assert await store.read(endpoints.listening_tenants) == {TENANT}


async def test_an_unknown_endpoint_is_nobodys(store: Store) -> None:
    unknown = new_id(T0)
    assert await store.read(endpoints.find, tenant_id=TENANT, endpoint_id=unknown) is None
    assert not await store.write(
        endpoints.remove, tenant_id=TENANT, endpoint_id=unknown, actor="key 1", now=T0
    )
    assert await store.write(deliveries.take_deliveries, ids=[unknown], now=T0) == []


async def test_of_two_removals_at_once_one_has_removed_it(postgres_store: Store) -> None:
    store, done = postgres_store, asyncio.Event()
    endpoint = await stored(store)
    holding = await hold(store, "SELECT id FROM endpoints FOR UPDATE", until=done)
    both = [
        asyncio.create_task(
            store.write(
                endpoints.remove, tenant_id=TENANT, endpoint_id=endpoint.id, actor=f"key {number}", now=T0
            )
        )
        for number in range(2)
    ]
    await until_blocked(store, 2)
    done.set()
    await holding
    assert sorted(await asyncio.gather(*both)) == [False, True]
    assert await count(store, "audit WHERE action = 'endpoint.remove'") == 1
