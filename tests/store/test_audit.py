"""A change and its line in the audit are there together, or neither is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.decision import Audited, Decision
from orchestrator.job import Attempt, Job, Phase
from orchestrator.store import audit, lane_orders
from orchestrator.store.audit import Act
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from orchestrator.store.trouble import RowRefused
from tests.factories import IMAGE_LANE, T0, TENANT, SetClock, add_jobs, make_job
from tests.store.faulty import FaultyDatabase
from tests.store.rows import count, lane_of, select

ACT = Act(tenant_id=TENANT, actor="key-1", action="pause", subject=IMAGE_LANE)


async def stop(store: Store, lane: str, act: Act = ACT) -> bool:
    given = {"lane": lane, "until": T0 + 1, "because": "a test"}
    return await store.write(audit.audited, act=act, now=T0, do=lane_orders.stop_lane, arguments=given)


async def test_what_was_done_has_its_line(store: Store) -> None:
    assert await stop(store, IMAGE_LANE)
    assert await count(store, "audit") == 1


async def test_what_was_not_there_has_none(store: Store) -> None:
    assert not await stop(store, "nowhere")
    assert await count(store, "audit") == 0


async def test_what_cannot_be_written_down_is_not_done(store: Store) -> None:
    nobody = Act(tenant_id=None, actor="key-1", action="pause", subject=IMAGE_LANE)  # type: ignore[arg-type]
    with pytest.raises(RowRefused):
        await stop(store, IMAGE_LANE, nobody)
    assert (await lane_of(store)).stopped_until == 0


async def test_the_line_of_a_change_is_written_once_though_its_commit_was_lost(database: Database) -> None:
    store = Store(FaultyDatabase(database, lost_after=1), SetClock())
    job = make_job(Phase.FAILED)
    await database.write(lambda connection: add_jobs(connection, jobs=[job]))

    def dismiss(job: Job, _attempt: Attempt | None) -> Decision:
        dismissed = replace(job, dismissed_at=T0)
        return Decision(note="dismissed", job=dismissed, audited=Audited("key 1", "dismiss"))

    await store.change(job.id, dismiss, source="client")
    lines = await select(store, "SELECT actor, action, object FROM audit")
    assert lines == [("key 1", "dismiss", job.id)]
