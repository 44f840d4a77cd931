"""A claim whose COMMIT was answered by nobody has leased jobs that its worker knows nothing of."""

from __future__ import annotations

import pytest

from orchestrator.job import Phase
from orchestrator.runtime import Runtime
from orchestrator.store.trouble import CommitLost
from orchestrator.worker import Worker
from tests.factories import make_creation
from tests.store.faulty import FaultyDatabase
from tests.store.rows import job_of, select


async def test_what_was_leased_without_its_workers_knowledge_is_ready_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = runtime.store
    job = (await store.create(make_creation())).job
    worker = Worker(runtime)
    monkeypatch.setattr(store, "database", FaultyDatabase(store.database, lost_after=1))
    with pytest.raises(CommitLost):
        await worker._submit_some()
    assert (await job_of(store, job.id)).phase == Phase.SUBMITTING

    await worker._submit_some()

    assert [tuple(row) for row in await select(store, "SELECT outcome FROM attempts")] == [("not_sent",)]
    again = await job_of(store, job.id)
    assert (again.phase, again.lost_leases) == (Phase.READY, 0)
    await worker.stop()
