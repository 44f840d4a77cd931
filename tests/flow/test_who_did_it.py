"""What a person does to a job or a batch and the line that says who it was are both there or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy.exc

from orchestrator.flow import batch as batches
from orchestrator.flow import clear_doubt
from orchestrator.flow.dismiss import dismiss
from orchestrator.flow.redrive import redrive
from orchestrator.job import HeldFor, Job, Phase
from orchestrator.runtime import Runtime
from tests.factories import stored_job
from tests.store.bulk import batch_of, running
from tests.store.rows import execute, job_of, select

ACTOR = "key 1"


async def redriven(runtime: Runtime) -> str:
    job = await stored_job(runtime.store, Phase.FAILED)
    await redrive(runtime, job.tenant_id, job.id, actor=ACTOR)
    return "redrive"


async def dismissed(runtime: Runtime) -> str:
    job = await stored_job(runtime.store, Phase.FAILED)
    await dismiss(runtime, job.tenant_id, job.id, actor=ACTOR)
    return "dismiss"


async def given_up(runtime: Runtime) -> str:
    job = await stored_job(runtime.store, Phase.HELD, held_for=HeldFor.DOUBT, attempt=1)
    await clear_doubt.fail(runtime, job, actor=ACTOR, because="")
    return "resolve: fail"


DEEDS = [redriven, dismissed, given_up]
Deed = Callable[[Runtime], Awaitable[str]]


@pytest.mark.parametrize("deed", DEEDS)
async def test_each_deed_has_its_line(runtime: Runtime, deed: Deed) -> None:
    action = await deed(runtime)
    ((job_id, tenant_id),) = await select(runtime.store, "SELECT id, tenant_id FROM jobs")
    lines = await select(runtime.store, "SELECT tenant_id, actor, action, object FROM audit")
    assert lines == [(tenant_id, ACTOR, action, job_id)]


@pytest.mark.parametrize("deed", DEEDS)
async def test_where_the_line_cannot_be_written_nothing_is_done(runtime: Runtime, deed: Deed) -> None:
    await execute(runtime.store, "ALTER TABLE audit RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await deed(runtime)
    ((job_id,),) = await select(runtime.store, "SELECT id FROM jobs")
    assert untouched(await job_of(runtime.store, job_id))


def untouched(job: Job) -> bool:
    return job.phase == Phase.HELD or (job.phase == Phase.FAILED and job.dismissed_at is None)


async def test_an_order_to_a_batch_has_its_line(runtime: Runtime) -> None:
    batch = await running(runtime.store, 1)
    await batches.order(runtime, "pause", batch.tenant_id, batch.id, actor=ACTOR)
    lines = await select(runtime.store, "SELECT tenant_id, actor, action, object FROM audit")
    assert lines == [(batch.tenant_id, ACTOR, "batch.pause", batch.id)]


async def test_where_the_line_of_an_order_cannot_be_written_the_batch_goes_on(runtime: Runtime) -> None:
    batch = await running(runtime.store, 1)
    await execute(runtime.store, "ALTER TABLE audit RENAME TO elsewhere")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="no such table"):
        await batches.order(runtime, "pause", batch.tenant_id, batch.id, actor=ACTOR)
    assert (await batch_of(runtime.store, batch)).state == "open"
