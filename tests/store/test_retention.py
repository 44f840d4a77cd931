"""Only ended jobs are deleted, and with them every row of theirs."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from orchestrator.evidence import Source
from orchestrator.ids import id_time
from orchestrator.job import Job, Phase
from orchestrator.store import batches, checks, deliveries, retention
from orchestrator.store.changes import Seen
from orchestrator.store.deliveries import Attempted
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, T0, TENANT, SetClock, add_tenant, make_creation, stored_job
from tests.store import decisions
from tests.store.bulk import assert_counted, batch_of, finish_steps, running
from tests.store.claiming import claim
from tests.store.locks import until_blocked
from tests.store.plans import plan
from tests.store.rows import count, counts, execute, select


async def whole_job(store: Store) -> Job:
    """An ended job with a row in every table."""
    job = await stored_job(store, Phase.ACCEPTED, webhook="https://user.example/hook")
    seen = Seen("valid", "x")
    await store.change(job.id, decisions.complete, source=Source.CALLBACK, attempt=1, callback=seen)
    await store.write(deliveries.record_attempt, attempted=attempt_of(job))
    return job


def attempt_of(job: Job, number: int = 1) -> Attempted:
    return Attempted(
        delivery_id=f"{job.id}-1",
        number=number,
        at=T0,
        latency_ms=1,
        status=200,
        error=None,
        answer="",
        is_delivered=True,
        due_at=None,
    )


async def delete(store: Store, job: Job, *, tenant_id: str = TENANT) -> int:
    asked = {"tenant_id": tenant_id, "ids": [job.id], "actor": "key 1", "now": T0}
    return len(await store.write(retention.delete_jobs, **asked))


async def delete_old(store: Store, *, before: int, most: int) -> int:
    deleted = await store.write(retention.delete_old, ended_from=0, ended_before=before, most=most)
    return deleted.jobs


async def test_a_deleted_job_leaves_nothing(store: Store) -> None:
    job, kept = await whole_job(store), await whole_job(store)
    assert await delete(store, job) == 1
    assert await counts(store) | {"idempotency_keys": 1} == dict.fromkeys(await counts(store), 1)
    assert await count(store, "delivery_attempts") == 1
    assert await select(store, "SELECT id FROM jobs") == [(kept.id,)]


async def test_an_attempt_that_ends_after_its_delivery_was_deleted_leaves_nothing(store: Store) -> None:
    job = await whole_job(store)
    await execute(store, "UPDATE deliveries SET state = 'pending', due_at = 1, finished_at = NULL")
    await delete(store, job)
    assert not await store.write(deliveries.record_attempt, attempted=attempt_of(job, 2))
    assert await count(store, "delivery_attempts") == 0


async def test_an_attempt_that_ends_while_its_delivery_is_deleted_leaves_nothing(
    postgres_store: Store,
) -> None:
    store, job = postgres_store, await whole_job(postgres_store)
    has_kept, commit = asyncio.Event(), asyncio.Event()

    def record(connection: Connection) -> None:
        deliveries.record_attempt(connection, attempted=attempt_of(job, 2))
        has_kept.set()
        await_only(commit.wait())

    recording = asyncio.create_task(store.write(record))
    await has_kept.wait()
    deleting = asyncio.create_task(delete(store, job))
    await until_blocked(store, 1)
    commit.set()
    await recording
    assert await deleting == 1
    assert await count(store, "delivery_attempts") == 0


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in ("completed", "failed")])
async def test_a_job_that_has_not_ended_is_not_deleted(store: Store, phase: Phase) -> None:
    job = await stored_job(store, phase)
    assert await delete(store, job) == 0
    assert await delete_old(store, before=T0 * 2, most=10) == 0
    assert await count(store, "jobs") == await count(store, "documents") == 1


async def test_another_tenants_job_is_not_deleted(store: Store) -> None:
    job, stranger = await whole_job(store), await store.write(add_tenant)
    assert await delete(store, job, tenant_id=stranger) == 0
    assert await count(store, "jobs") == 1


async def test_old_jobs_are_deleted_in_steps_oldest_first(store: Store) -> None:
    for n in range(5):
        await stored_job(store, Phase.COMPLETED, finished_at=T0 + n)
    assert await delete_old(store, before=T0 + 4, most=3) == 3
    assert await select(store, "SELECT finished_at FROM jobs ORDER BY 1") == [(T0 + 3,), (T0 + 4,)]
    assert await delete_old(store, before=T0 + 4, most=3) == 1


async def test_an_old_job_stays_until_its_webhook_was_told_or_is_dead(store: Store) -> None:
    job = await whole_job(store)
    await execute(store, "UPDATE deliveries SET state = 'pending', due_at = 1, finished_at = NULL")
    assert await delete_old(store, before=T0 + 1, most=10) == 0
    assert await count(store, "deliveries") == 1
    await store.write(deliveries.record_attempt, attempted=attempt_of(job, 2))
    assert await delete_old(store, before=T0 + 1, most=10) == 1
    assert await count(store, "deliveries") == 0


async def test_the_jobs_of_a_finished_batch_are_deleted_and_then_the_batch(store: Store) -> None:
    batch = await running(store, 3, webhook="https://user.example/hook", idempotency_key="k")
    for place, one in enumerate(await claim(store)):
        decide = decisions.complete if place else decisions.fail
        await store.change(one.job.id, decide, source=Source.ANSWER)
    await store.write(batches.discard_empty, ended_before=T0 + 1)
    assert (await batch_of(store, batch)).total == 3
    assert await delete_old(store, before=T0 + 1, most=2) == 2
    await assert_counted(store, batch)
    assert await delete_old(store, before=T0 + 1, most=2) == 1
    await assert_counted(store, batch)
    assert (await batch_of(store, batch)).finished_at == T0
    await store.write(batches.discard_empty, ended_before=T0)
    assert (await batch_of(store, batch)).total == 0
    await store.write(batches.discard_empty, ended_before=T0 + 1)
    assert (await batch_of(store, batch)).state == "open", "its webhook is still to be told"
    await execute(store, "UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = 1")
    await store.write(batches.discard_empty, ended_before=T0 + 1)
    await finish_steps(store)
    assert await count(store, "batches") == 1, "its Idempotency-Key still stands for it"
    await store.write(batches.forget_keys, before=T0 + 1)
    await store.write(batches.discard_empty, ended_before=T0 + 1)
    await finish_steps(store)
    names = ("batches", "batch_failures", "deliveries", "jobs", "events", "attempts", "documents")
    assert [await count(store, name) for name in names] == [0] * len(names)


async def test_ended_jobs_of_a_batch_that_runs_stay_and_hide_no_others(store: Store) -> None:
    batch = await running(store, 3)
    for one in await claim(store, slots=2):
        await store.change(one.job.id, decisions.complete, source=Source.ANSWER)
    alone = await stored_job(store, Phase.COMPLETED, finished_at=T0)
    later = await stored_job(store, Phase.COMPLETED, finished_at=T0 + 1)
    first = await store.write(retention.delete_old, ended_from=0, ended_before=T0 + 2, most=1)
    assert first == (1, T0)
    assert await select(store, "SELECT id FROM jobs WHERE id = :id", id=alone.id) == []
    then = await store.write(retention.delete_old, ended_from=T0, ended_before=T0 + 2, most=1)
    assert then == (1, T0 + 1)
    assert await select(store, "SELECT id FROM jobs WHERE id = :id", id=later.id) == []
    assert await delete_old(store, before=T0 + 2, most=10) == 0
    assert (await batch_of(store, batch)).total == 3
    await assert_counted(store, batch)


async def test_no_look_goes_through_more_than_some_of_those_that_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_LOOKED_THROUGH", 2)
    await running(store, 6)
    for one in await claim(store, slots=5):
        await store.change(one.job.id, decisions.complete, source=Source.ANSWER)
    for n in range(1, 4):
        await stored_job(store, Phase.COMPLETED, finished_at=T0 + n)

    async def look(since: int, before: int) -> tuple[int, int | None]:
        return await store.write(retention.delete_old, ended_from=since, ended_before=before, most=10)

    assert await look(0, T0 + 3) == (0, T0 + 1), "five stay that ended at once"
    assert await look(T0 + 1, T0 + 3) == (2, None)
    assert await look(0, T0 + 9) == (0, T0 + 1)
    assert await look(T0 + 1, T0 + 9) == (1, None)


async def test_the_results_of_a_batch_stay_as_long_from_its_end_on(store: Store) -> None:
    batch = await running(store, 2)
    first, last = await claim(store)
    await store.change(first.job.id, decisions.complete, source=Source.ANSWER)
    later = Store(store.database, SetClock(T0 + 10))
    await later.change(last.job.id, decisions.complete, source=Source.ANSWER)
    assert (await batch_of(store, batch)).finished_at == T0 + 10
    assert await delete_old(store, before=T0 + 10, most=10) == 0
    assert await delete_old(store, before=T0 + 11, most=10) == 2


async def test_old_keys_are_forgotten_in_steps(store: Store) -> None:
    for name in "abc":
        await store.create(make_creation(key=name))
    new = make_creation(key="new")
    await store.create(new)

    async def forget() -> int:
        return await store.write(retention.delete_old_keys, before=new.job.created_at, most=2)

    assert [await forget(), await forget()] == [2, 1]
    assert await select(store, "SELECT key FROM idempotency_keys") == [("new",)]


async def test_a_job_whose_task_may_still_run_is_not_deleted(store: Store) -> None:
    job = await stored_job(store, Phase.FAILED)
    await execute(store, "UPDATE attempts SET ended_at = NULL")
    assert await delete(store, job) == 0
    await execute(store, "UPDATE attempts SET ended_at = 1")
    assert await delete(store, job) == 1


async def test_the_task_of_a_deleted_job_stays_known_as_long_as_somebody_may_be_in_doubt(
    store: Store,
) -> None:
    job = await whole_job(store)
    await store.change(job.id, decisions.naming("task-1"), source=Source.HISTORY)
    await delete(store, job)

    async def known(since: int) -> set[str]:
        return await store.read(
            checks.known_among, account_id=ACCOUNT, provider_ids=["task-1", "task-2"], since=since
        )

    rows = await select(store, "SELECT id, tenant_id, actor, object FROM audit")
    assert [tuple(row)[1:] for row in rows] == [(TENANT, "key 1", "task-1")]
    at = id_time(rows[0][0])
    assert (await known(at), await known(at + 1)) == ({"task-1"}, set())
    await store.write(retention.delete_old_memories, before=at)
    assert await count(store, "audit") == 1
    await store.write(retention.delete_old_memories, before=at + 1)
    assert await count(store, "audit") == 0


async def test_the_memories_that_are_forgotten_are_found_among_all_lines(store: Store) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    steps = await store.write(plan, do=partial(retention.delete_old_memories, before=T0))
    assert steps == ["SEARCH audit USING INDEX ix_audit_deleted_tasks (id<?)"]
