"""A repeated request joins the oldest job whose client went away unanswered, once, and no other."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace
from sqlalchemy import Connection

from orchestrator.clock import MINUTE
from orchestrator.job import Job, Phase
from orchestrator.store.creation import Created, Creation
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from tests.factories import T0, SetClock, add_tenant, make_creation, make_job, stored_job
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
