"""A repeated request joins the oldest job whose client went away unanswered, once, and no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, event

from orchestrator.clock import MINUTE
from orchestrator.job import Job, Phase
from orchestrator.store import tenants
from orchestrator.store.creation import Created, Creation, apply_creations
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from orchestrator.store.tenants import Terms
from tests.factories import T0, TENANT, SetClock, add_tenant, make_creation, make_job, stored_job
from tests.store.faulty import FaultyDatabase
from tests.store.rows import counts, job_of

REQUEST = "a" * 64


def asking(job: Job | None = None, request: str | None = REQUEST) -> Creation:
    return replace(make_creation(job), may_join=request)


async def unanswered(store: Store, *, lost_at: int = T0, phase: Phase = Phase.READY) -> Job:
    return await stored_job(store, phase, answer_lost_at=lost_at, request_hash=REQUEST)


async def create(store: Store, creation: Creation) -> Created:
    return await store.create(creation)


async def test_the_same_request_joins_it_and_makes_no_job(store: Store) -> None:
    first = await unanswered(store, phase=Phase.ACCEPTED)
    created = await create(store, asking())
    assert (created.is_joined, created.job.id, created.job.phase) == (True, first.id, Phase.ACCEPTED)
    assert (await counts(store))["jobs"] == 1


async def test_it_is_joined_once_and_the_oldest_comes_first(store: Store) -> None:
    older, newer = await unanswered(store), await unanswered(store)
    joined = await asyncio.gather(*(create(store, asking()) for _ in range(3)))
    assert [one.is_joined for one in joined] == [True, True, False]
    assert [one.job.id for one in joined[:2]] == [older.id, newer.id]
    assert (await job_of(store, older.id)).answer_lost_at is None


async def test_another_request_an_answered_job_and_another_tenants_are_left_alone(store: Store) -> None:
    def other(connection: Connection) -> str:
        return add_tenant(connection)

    await unanswered(store)
    await stored_job(store, request_hash="b" * 64)
    foreign = make_job(tenant_id=await store.write(other))
    for creation in (asking(request="b" * 64), asking(foreign), asking(request=None)):
        assert not (await create(store, creation)).is_joined


async def test_after_ten_minutes_it_is_a_job_of_its_own(store: Store) -> None:
    await unanswered(store, lost_at=T0 - 10 * MINUTE)
    assert not (await create(store, asking())).is_joined


async def test_a_lost_commit_joins_no_second_job(database: Database) -> None:
    lossy = FaultyDatabase(database)
    store = Store(lossy, SetClock())
    first, second = await unanswered(store), await unanswered(store)
    lossy.lost_after = 1
    created = await create(store, asking())
    assert created.job.id == first.id
    assert (await job_of(store, second.id)).answer_lost_at == T0


async def test_keys_are_looked_up_and_given_back_by_their_index(store: Store) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    await store.write(tenants.change_tenant, name=TENANT, terms=Terms(max_queued=0))

    def plans(connection: Connection) -> list[str]:
        asked: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
            asked.append((statement, values))

        event.listen(connection, "before_cursor_execute", note)
        creations = [make_creation(key="k"), asking()]
        apply_creations(connection, creations, now=T0, known_shares=frozenset(), is_retry=True)
        of_keys = [one for one in asked if "idempotency_keys" in one[0]]
        return [
            str(row[-1])
            for statement, values in of_keys
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            if "idempotency_keys" in row[-1] or row[-1].endswith(" k")
        ]

    found = await store.write(plans)
    assert len(found) == 3
    assert all(step.startswith("SEARCH") for step in found), found
