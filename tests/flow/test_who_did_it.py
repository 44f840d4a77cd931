"""What a person does to a job or a batch and the line that says who it was are both there or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy.exc

from orchestrator.decision import Audited
from orchestrator.errors import Conflict
from orchestrator.flow import batch as batches
from orchestrator.flow import clear_doubt
from orchestrator.flow.cancel import cancel
from orchestrator.flow.delete import delete_jobs
from orchestrator.flow.dismiss import dismiss
from orchestrator.flow.poll import check_now
from orchestrator.flow.redrive import redrive
from orchestrator.job import HeldFor, Job, Phase, Reason
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


async def cancelled(runtime: Runtime) -> str:
    job = await stored_job(runtime.store, Phase.READY)
    await cancel(runtime, job.tenant_id, job.id, actor=ACTOR)
    return "cancel"


async def cancelled_under_way(runtime: Runtime) -> str:
    job = await stored_job(runtime.store, Phase.ACCEPTED, attempt=1)
    await cancel(runtime, job.tenant_id, job.id, actor=ACTOR)
    return "cancel"


DEEDS = [redriven, dismissed, given_up, cancelled, cancelled_under_way]
Deed = Callable[[Runtime], Awaitable[str]]


@pytest.mark.parametrize("deed", DEEDS)
async def test_each_deed_has_its_line(runtime: Runtime, deed: Deed) -> None:
    action = await deed(runtime)
    ((job_id, tenant_id),) = await select(runtime.store, "SELECT id, tenant_id FROM jobs")
    assert await lines(runtime) == [(tenant_id, ACTOR, action, job_id)]


@pytest.mark.parametrize("deed", DEEDS)
async def test_where_the_line_cannot_be_written_nothing_is_done(runtime: Runtime, deed: Deed) -> None:
    await execute(runtime.store, "ALTER TABLE audit RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await deed(runtime)
    ((job_id,),) = await select(runtime.store, "SELECT id FROM jobs")
    assert untouched(await job_of(runtime.store, job_id))


def untouched(job: Job) -> bool:
    if job.phase == Phase.FAILED:
        return job.dismissed_at is None and job.reason is not Reason.CANCELLED
    return job.cancel_requested_at is None


async def test_asking_the_provider_has_its_line(runtime: Runtime) -> None:
    job = await stored_job(runtime.store, Phase.ACCEPTED, attempt=1)
    await check_now(runtime, job.id, audited=Audited(ACTOR, "check"))
    assert await lines(runtime) == [(job.tenant_id, ACTOR, "check", job.id)]


async def test_a_callback_that_proves_nothing_has_no_line(runtime: Runtime) -> None:
    job = await stored_job(runtime.store, Phase.ACCEPTED, attempt=1)
    await check_now(runtime, job.id)
    assert await lines(runtime) == []


async def test_a_job_that_has_ended_is_cancelled_by_nobody(runtime: Runtime) -> None:
    job = await stored_job(runtime.store, Phase.COMPLETED)
    with pytest.raises(Conflict):
        await cancel(runtime, job.tenant_id, job.id, actor=ACTOR)
    assert await lines(runtime) == []


async def test_each_deleted_job_has_its_line(runtime: Runtime) -> None:
    gone, kept = await stored_job(runtime.store, Phase.FAILED), await stored_job(runtime.store, Phase.READY)
    assert await delete_jobs(runtime, gone.tenant_id, [gone.id, kept.id], actor=ACTOR) == 1
    assert await lines(runtime) == [(gone.tenant_id, ACTOR, "delete", gone.id)]


async def test_an_order_to_a_batch_has_its_line(runtime: Runtime) -> None:
    batch = await running(runtime.store, 1)
    await batches.order(runtime, "pause", batch.tenant_id, batch.id, actor=ACTOR)
    assert await lines(runtime) == [(batch.tenant_id, ACTOR, "batch.pause", batch.id)]


async def test_where_the_line_of_an_order_cannot_be_written_the_batch_goes_on(runtime: Runtime) -> None:
    batch = await running(runtime.store, 1)
    await execute(runtime.store, "ALTER TABLE audit RENAME TO elsewhere")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="no such table"):
        await batches.order(runtime, "pause", batch.tenant_id, batch.id, actor=ACTOR)
    assert (await batch_of(runtime.store, batch)).state == "open"


async def lines(runtime: Runtime) -> list[tuple[str, ...]]:
    return await select(runtime.store, "SELECT tenant_id, actor, action, object FROM audit")
