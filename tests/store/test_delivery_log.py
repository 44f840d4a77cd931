"""Deliveries as people see and mend them: listed by tenant, and sent again with their whole schedule."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.ids import new_id
from orchestrator.store import deliveries, delivery_log, many_rows
from orchestrator.store.deliveries import Attempted, Due
from orchestrator.store.delivery_log import Dead, Told, Wanted
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, stored_job
from tests.store.rows import execute, select
from tests.store.test_deliveries import attempted, ended_job, take

ANOTHER = new_id(T0 - 7)


async def record(store: Store, due: Due, **changes: Any) -> Attempted:
    made = attempted(due, **changes)
    await store.write(deliveries.record_attempt, attempted=made)
    return made


async def dead_delivery(store: Store, *, at: int = T0 + 7) -> str:
    """Of a job of its own; after one attempt, which was answered with 410."""
    job = await ended_job(store)
    due = next(one for one in await take(store) if one.id == f"{job.id}-1")
    await record(store, due, at=at, status=410, due_at=None)
    return due.id


async def listed(store: Store, tenant_id: str = TENANT, **changes: Any) -> list[str]:
    wanted = Wanted(**({"most": 50} | changes))
    return [one.id for one in await store.read(delivery_log.newest, tenant_id=tenant_id, wanted=wanted)]


async def found(store: Store, delivery_id: str, tenant_id: str = TENANT) -> Told | None:
    return await store.read(delivery_log.find, tenant_id=tenant_id, delivery_id=delivery_id)


async def redeliver(store: Store, delivery_id: str, *, tenant_id: str = TENANT) -> bool:
    return await store.write(
        delivery_log.redeliver, tenant_id=tenant_id, delivery_id=delivery_id, actor="key 1", now=T0 + 99
    )


async def redeliver_dead(store: Store, *, tenant_id: str = TENANT, after_id: str = "") -> list[str]:
    return await store.write(
        delivery_log.redeliver_dead,
        dead=Dead(tenant_id=tenant_id, since=T0 + 5, until=T0 + 10),
        after_id=after_id,
        actor="key 1",
        now=T0 + 99,
    )


async def audited(store: Store) -> list[tuple[str, ...]]:
    return [tuple(row) for row in await select(store, "SELECT actor, action, object FROM audit")]


async def test_a_listing_goes_on_where_its_last_page_ended(store: Store) -> None:
    ids = [f"{(await ended_job(store)).id}-1" for _ in range(5)]
    newest_first = ids[::-1]
    assert await listed(store, most=2) == newest_first[:2]
    assert await listed(store, before_id=newest_first[1]) == newest_first[2:]


async def test_a_listing_can_be_of_a_state_or_a_job(store: Store) -> None:
    dead = await dead_delivery(store)
    job = await ended_job(store)
    assert await listed(store, state="dead") == [dead]
    assert await listed(store, job_id=job.id) == [f"{job.id}-1"]
    assert await listed(store, job_id=job.id, state="dead") == []


async def test_the_deliveries_of_a_batch_are_its_own_and_those_of_its_jobs(store: Store) -> None:
    other, batch_id = await ended_job(store), new_id(T0)
    job = await ended_job(store)
    await execute(
        store, "UPDATE jobs SET batch_id = :batch, line = 1 WHERE id = :id", batch=batch_id, id=job.id
    )
    end = deliveries.pending(
        f"{batch_id}-1", TENANT, "https://user.example/", event="batch.completed", scheme="v1", now=T0
    )
    row = end | {"batch_id": batch_id, "ending": "{}"}
    await store.write(many_rows.insert_many, table="deliveries", rows=[row])
    assert sorted(await listed(store, batch_id=batch_id)) == sorted([f"{job.id}-1", f"{batch_id}-1"])
    assert f"{other.id}-1" in await listed(store)


async def test_a_delivery_tells_of_its_last_attempt_and_on_request_of_all(store: Store) -> None:
    job = await ended_job(store)
    (due,) = await take(store)
    await record(store, due, due_at=T0)
    (again,) = await take(store)
    await record(store, again, status=None, error="could not be reached", answer="")
    told = await found(store, f"{job.id}-1")
    assert told is not None
    assert (told.attempts, told.last_status, told.last_error) == (2, None, "could not be reached")
    attempts = await store.read(delivery_log.attempts_of, delivery_id=told.id)
    assert [(one.number, one.status, one.answer) for one in attempts] == [(1, 500, "no"), (2, None, "")]


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_what_has_ended_is_sent_again_with_its_whole_schedule(store: Store, is_delivered: bool) -> None:
    await ended_job(store)
    (due,) = await take(store)
    await record(store, due, is_delivered=is_delivered, due_at=None)
    assert await redeliver(store, due.id)
    (again,) = await take(store, now=T0 + 99)
    assert (again.id, again.failures, again.number) == (due.id, 0, 2)
    assert await audited(store) == [("key 1", "redeliver", due.id)]


async def test_what_waits_for_a_later_attempt_is_sent_now(store: Store) -> None:
    await ended_job(store)
    (due,) = await take(store)
    await record(store, due, due_at=T0 + 300_000)
    assert await take(store, now=T0 + 99) == []
    assert await redeliver(store, due.id)
    (again,) = await take(store, now=T0 + 99)
    assert (again.id, again.failures, again.number) == (due.id, 0, 2)


async def test_what_is_being_sent_is_not_sent_twice(store: Store) -> None:
    await ended_job(store)
    (due,) = await take(store)
    assert not await redeliver(store, due.id)
    assert await audited(store) == []


async def test_another_tenants_delivery_is_not_there(store: Store) -> None:
    dead = await dead_delivery(store)
    assert await found(store, dead, ANOTHER) is None
    assert await listed(store, ANOTHER) == []
    assert not await redeliver(store, dead, tenant_id=ANOTHER)
    assert await redeliver_dead(store, tenant_id=ANOTHER) == []
    theirs = Dead(tenant_id=ANOTHER, since=0, until=T0 + 99)
    assert await store.read(delivery_log.count_dead, dead=theirs) == 0
    assert await listed(store, state="dead") == [dead]


async def test_all_that_died_in_a_time_are_sent_again_and_no_others(store: Store) -> None:
    early, late = [await dead_delivery(store, at=T0 + at) for at in (4, 11)]
    first, last = [await dead_delivery(store, at=T0 + at) for at in (5, 10)]
    await stored_job(store)
    pending = f"{(await ended_job(store)).id}-1"
    dead = Dead(tenant_id=TENANT, since=T0 + 5, until=T0 + 10)
    assert await store.read(delivery_log.count_dead, dead=dead) == 2
    assert await redeliver_dead(store) == [first, last]
    assert await redeliver_dead(store) == []
    assert sorted(await listed(store, state="dead")) == sorted([early, late])
    assert sorted(await listed(store, state="pending")) == sorted([first, last, pending])
    assert await audited(store) == [("key 1", "redeliver", f"2 dead, {first} to {last}")]


async def test_many_are_sent_again_some_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_log, "AT_A_TIME", 2)
    ids = [await dead_delivery(store) for _ in range(3)]
    assert await redeliver_dead(store) == ids[:2]
    assert await redeliver_dead(store, after_id=ids[1]) == ids[2:]


async def test_the_dead_are_found_by_their_own_index(store: Store) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    dead = f"{delivery_log._TOLD}{delivery_log._STATES['dead']} ORDER BY d.id DESC LIMIT 20"
    plan = await select(store, f"EXPLAIN QUERY PLAN {dead}", tenant=TENANT)
    assert plan[0][-1] == "SEARCH d USING INDEX ix_deliveries_dead (tenant_id=? AND state=?)"
