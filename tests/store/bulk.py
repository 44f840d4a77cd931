"""Batches for tests of the store: received, opened, and moved on by steps, as flows do it."""

from __future__ import annotations

from typing import Any

from orchestrator.decision import Applied
from orchestrator.flow.steps import decide_for
from orchestrator.job import Job, Phase
from orchestrator.store import batch_lines, batch_steps, batch_uploads, batches, tallies
from orchestrator.store.batch_steps import Step
from orchestrator.store.batches import Batch
from orchestrator.store.store import Store
from tests import factories
from tests.factories import T0, TENANT, make_creation, make_id, make_job
from tests.store.rows import select

RECEIVER = make_id()


def make_batch(**changes: Any) -> Batch:
    """One whose lines come just now."""
    coming = {"state": "receiving", "receiver": RECEIVER, "receiver_until": T0 + 60_000}
    return factories.make_batch(**(coming | changes))


async def receiving(store: Store, count: int, *, job: dict[str, Any] | None = None, **changes: Any) -> Batch:
    """A batch of which so many lines are stored, and more may come."""
    batch = await store.write(batch_uploads.start, new=make_batch(**changes))
    jobs = [make_job(Phase.HELD, batch_id=batch.id, line=line, **(job or {})) for line in range(1, count + 1)]
    await store.write(
        batch_lines.insert,
        batch_id=batch.id,
        receiver=RECEIVER,
        receiver_until=T0 + 60_000,
        accepted=[make_creation(one) for one in jobs],
        rejected=[],
    )
    return batch


async def opened(store: Store, count: int, *, job: dict[str, Any] | None = None, **changes: Any) -> Batch:
    """A batch whose jobs are about to be released."""
    batch = await receiving(store, count, job=job, **changes)
    found = await store.write(
        batch_uploads.open_received, batch_id=batch.id, receiver=RECEIVER, body_hash="1", now=T0
    )
    assert found is not None
    return found


async def running(store: Store, count: int, **arguments: Any) -> Batch:
    """A batch all of whose jobs are released."""
    batch = await opened(store, count, **arguments)
    await finish_steps(store)
    return await batch_of(store, batch)


async def give(
    store: Store, batch: Batch, order: tuple[str, str], *, fingerprint: str | None = None
) -> Batch | None:
    return await store.write(
        batches.change, order=order, batch_id=batch.id, tenant_id=TENANT, now=T0, fingerprint=fingerprint
    )


async def take(store: Store, step: Step) -> list[Applied]:
    return await store.write(batch_steps.take, step=step, decide_for=decide_for, now=T0)


async def next_step(store: Store) -> Step:
    (step,) = await store.read(batch_steps.pending, most=10)
    return step


async def finish_steps(store: Store) -> None:
    while steps := await store.read(batch_steps.pending, most=10):
        for step in steps:
            await take(store, step)


async def batch_of(store: Store, batch: Batch) -> Batch:
    found = await store.read(batches.find, tenant_id=TENANT, batch_id=batch.id)
    assert found is not None
    return found


async def jobs_of(store: Store, batch: Batch) -> list[Job]:
    """In line order."""
    found = await store.read(batch_lines.stored, batch_id=batch.id, first=1, last=10**6)
    return [job for _, job in sorted(found.jobs.items())]


async def phases(store: Store, batch: Batch) -> set[str]:
    return {str(job.phase) for job in await jobs_of(store, batch)}


async def assert_counted(store: Store, batch: Batch) -> None:
    """The counters say what a count says."""
    now = await batch_of(store, batch)
    counted = await store.read(batch_lines.counters, batch_id=batch.id)
    assert {state: getattr(now, state) for state in tallies.STATES} == {
        state: counted[state] for state in tallies.STATES
    }
    failures = await select(
        store,
        "SELECT fingerprint, count(*) FROM jobs WHERE batch_id = :id AND fingerprint IS NOT NULL"
        " GROUP BY fingerprint ORDER BY 1",
        id=batch.id,
    )
    told = await select(
        store,
        "SELECT fingerprint, count FROM batch_failures WHERE batch_id = :id AND count <> 0 ORDER BY 1",
        id=batch.id,
    )
    assert [tuple(row) for row in told] == [tuple(row) for row in failures]
