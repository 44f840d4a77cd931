"""A row that somebody keeps locked, such as in a transaction that was forgotten in psql, stops nothing but
what needs it.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from orchestrator.flow import actions as flow_actions
from orchestrator.flow import steps
from orchestrator.job import Phase
from orchestrator.store import action_steps, actions, batch_steps
from orchestrator.store.actions import Action, Matched
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, make_id, stored_job
from tests.store.bulk import next_step, opened


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


def lock_timeout(connection: Connection) -> str:
    return str(connection.execute(text("SHOW lock_timeout")).scalar_one())
