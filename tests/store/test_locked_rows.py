"""A row that somebody keeps locked, such as in a transaction that was forgotten in psql, stops nothing but
what needs it.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from sqlalchemy import Connection, text

from orchestrator.flow import actions as flow_actions
from orchestrator.flow import steps
from orchestrator.job import Job, Phase
from orchestrator.store import action_steps, actions, batch_steps, rows
from orchestrator.store.actions import Action, Matched
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, make_creation, make_id, stored_job
from tests.store import decisions
from tests.store.bulk import next_step, opened
from tests.store.locks import held
from tests.store.rows import job_of


async def test_a_step_of_a_batch_waits_only_briefly_for_a_lock(postgres_store: Store) -> None:
    store = postgres_store
    await opened(store, 1)
    step = await next_step(store)

    def take(connection: Connection) -> str:
        batch_steps.take(connection, step=step, decide_for=steps.decide_for, now=T0)
        return lock_timeout(connection)

    assert await store.write(take) == "1s"
    assert await store.read(lock_timeout) == "5s"


async def test_a_step_of_an_action_waits_only_briefly_for_a_lock(postgres_store: Store) -> None:
    store = postgres_store
    job = await stored_job(store, Phase.FAILED)
    action = Action(
        id=make_id(),
        tenant_id=TENANT,
        owner_id=TENANT,
        actor="k",
        verb="dismiss",
        matched=Matched(ids=(job.id,)),
        up_to=make_id(),
        created_at=T0,
        due_at=T0,
    )
    await store.write(actions.insert, action=action)

    def take(connection: Connection) -> str:
        decide, is_done = flow_actions.decide_for(action, T0), flow_actions.is_done
        action_steps.take(connection, action=action, decide=decide, is_done=is_done, now=T0)
        return lock_timeout(connection)

    assert await store.write(take) == "1s"
    assert await store.read(lock_timeout) == "5s"


async def test_a_locked_job_holds_up_its_own_change_and_nothing_beside_it(postgres_store: Store) -> None:
    store = postgres_store
    job, other = [await stored_job(store, Phase.ACCEPTED) for _ in range(2)]
    async with locked(store, job):
        # For the connection that lies in the pool, and is the next to be used.
        await store.write(lambda connection: connection.execute(text("SET lock_timeout = '50ms'")))
        stuck = asyncio.create_task(store.change(job.id, decisions.mark, source="client"))
        beside = store.change(other.id, decisions.mark, source="client")
        _, created = await asyncio.gather(beside, store.create(make_creation()))
        assert (await job_of(store, created.job.id)).phase == Phase.READY
        assert (await job_of(store, other.id)).cancel_requested_at is not None
        assert not stuck.done()
    assert await stuck is not None
    assert (await job_of(store, job.id)).cancel_requested_at is not None


def locked(store: Store, job: Job) -> AbstractAsyncContextManager[asyncio.Event]:
    """Another transaction has the job's row, and ends with the block."""
    return held(store.database, lambda connection: rows.lock_jobs(connection, [job.id]))


def lock_timeout(connection: Connection) -> str:
    return str(connection.execute(text("SHOW lock_timeout")).scalar_one())
