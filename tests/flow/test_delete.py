"""Many jobs are deleted by hand in steps, between which others have their turn."""

from __future__ import annotations

import asyncio

from orchestrator.flow.delete import delete_jobs
from orchestrator.job import Phase
from orchestrator.runtime import Runtime
from tests.factories import TENANT, make_id, stored_job
from tests.store.rows import count, execute


async def test_others_have_a_turn_while_large_jobs_are_deleted(runtime: Runtime) -> None:
    ids = [(await stored_job(runtime.store, Phase.COMPLETED)).id for _ in range(3)]
    await execute(runtime.store, "UPDATE documents SET input = :text", text="x" * 900_000)
    deleting = asyncio.create_task(delete_jobs(runtime, TENANT, ids, actor="key 1"))
    await asyncio.sleep(0)
    assert await count(runtime.store, "jobs") == 1
    assert await deleting == 3


async def test_each_of_many_ids_is_looked_at(runtime: Runtime) -> None:
    first, last = [(await stored_job(runtime.store, Phase.FAILED)).id for _ in range(2)]
    running = (await stored_job(runtime.store, Phase.READY)).id
    unknown = [make_id() for _ in range(450)]
    ids = [first, *unknown[:300], running, *unknown[300:], last]
    assert await delete_jobs(runtime, TENANT, ids, actor="key 1") == 2
    assert await count(runtime.store, "jobs") == 1
    assert await delete_jobs(runtime, TENANT, [], actor="key 1") == 0
