"""Jobs with large documents are deleted a few at a time: on SQLite nothing else is done meanwhile."""

from __future__ import annotations

import pytest

from orchestrator.flow.actions import decide_for, is_done
from orchestrator.job import Job, Phase
from orchestrator.store import action_steps, actions, batches, retention
from orchestrator.store.actions import Action, Matched
from orchestrator.store.job_filter import JobFilter
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, make_id, stored_job
from tests.store.bulk import give, next_step, receiving, take
from tests.store.rows import count, execute, select

TWO_FIT, NONE_FITS = 900_000, 2_100_000


async def ended(store: Store, number: int, *, length: int, column: str = "input") -> list[Job]:
    """Jobs that ended one after the other."""
    jobs = [await stored_job(store, Phase.COMPLETED, finished_at=T0 + n) for n in range(number)]
    await enlarge(store, length=length, column=column)
    return jobs


async def enlarge(store: Store, *, length: int, column: str = "input") -> None:
    await execute(store, f"UPDATE documents SET {column} = :text", text="x" * length)


async def left(store: Store) -> list[str]:
    return [row[0] for row in await select(store, "SELECT id FROM jobs ORDER BY id")]


async def test_old_jobs_go_on_with_the_first_that_is_left(store: Store) -> None:
    jobs = await ended(store, 5, length=TWO_FIT)
    asked = {"ended_before": T0 * 2, "most": 10}
    first = await store.write(retention.delete_old, ended_from=0, **asked)
    assert first == (2, T0 + 1)
    assert await left(store) == [job.id for job in jobs[2:]]
    assert await store.write(retention.delete_old, ended_from=T0 + 1, **asked) == (2, T0 + 3)
    assert await store.write(retention.delete_old, ended_from=T0 + 3, **asked) == (1, None)


@pytest.mark.parametrize("column", ["input", "ending"])
async def test_one_that_is_larger_than_all_may_be_goes_alone(store: Store, column: str) -> None:
    jobs = await ended(store, 2, length=NONE_FITS, column=column)
    assert await store.read(retention.as_many_as_fit, ids=[job.id for job in jobs]) == [jobs[0].id]


async def test_ids_of_no_job_have_no_size(store: Store) -> None:
    jobs = await ended(store, 3, length=TWO_FIT)
    ids = [make_id(), jobs[2].id, make_id(), jobs[0].id, make_id(), jobs[1].id]
    assert await store.read(retention.as_many_as_fit, ids=ids) == ids[:5]
    assert await store.read(retention.as_many_as_fit, ids=[]) == []


async def test_a_step_of_a_batch_that_is_given_up_deletes_a_few(store: Store) -> None:
    batch = await receiving(store, 5)
    await enlarge(store, length=TWO_FIT)
    await give(store, batch, batches.DISCARD)
    jobs_left = []
    while await count(store, "batches"):
        await take(store, await next_step(store))
        jobs_left.append(await count(store, "jobs"))
    assert jobs_left == [3, 1, 0, 0]


@pytest.mark.parametrize("is_filter", [False, True])
async def test_a_step_of_an_action_deletes_a_few(store: Store, is_filter: bool) -> None:
    jobs = await ended(store, 5, length=TWO_FIT)
    ids = tuple(job.id for job in jobs)
    action = Action(
        id=make_id(),
        tenant_id=TENANT,
        owner_id=TENANT,
        actor="somebody",
        verb="delete",
        matched=Matched(filter=JobFilter(phase="completed")) if is_filter else Matched(ids=ids),
        up_to=make_id(),
        created_at=T0,
        due_at=T0,
    )
    await store.write(actions.insert, action=action)
    done = []
    while action.state == "running":
        await store.write(
            action_steps.take, action=action, decide=decide_for(action, T0), is_done=is_done, now=T0
        )
        found = await store.read(actions.find, tenant_id=TENANT, action_id=action.id)
        assert found is not None
        action = found
        done.append((action.done, await count(store, "jobs")))
    assert done == [(2, 3), (4, 1), (5, 0)]
    assert action.refused == 0
