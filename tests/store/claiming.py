"""Claims as a worker makes them, and ready jobs in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.job import Job
from orchestrator.policy import Limits
from orchestrator.store import claims, lanes
from orchestrator.store.claims import Claim
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, T0, TENANT, add_jobs, make_id, make_job
from tests.store.rows import execute


async def claim(
    store: Store, *, slots: int = 64, now: int = T0, is_idle: bool = True, owner: str = "worker-1"
) -> list[Claim]:
    return await store.write(
        claims.claim, account_id=ACCOUNT, owner=owner, slots=slots, is_idle=is_idle, now=now
    )


async def claimed_ids(store: Store, *, slots: int = 64, now: int = T0) -> list[str]:
    return [one.job.id for one in await claim(store, slots=slots, now=now)]


async def add_ready(
    store: Store, count: int, *, tenant_id: str = TENANT, at: int = T0, **changes: Any
) -> list[Job]:
    """Ready jobs of one tenant, made one millisecond after another from `at` on."""
    jobs = [make_job(tenant_id=tenant_id, created_at=at + n, **changes) for n in range(count)]
    await store.write(add_jobs, jobs=jobs)
    return jobs


async def add_crowd(store: Store, count: int, *, tenant_id: str, priority: int) -> None:
    """The same in tens of thousands, all of one millisecond, by a single statement for each table."""
    await execute(
        store,
        "INSERT INTO jobs"
        " (id, tenant_id, lane_id, model, api_version, media, priority, phase, created_at, input_hash)"
        " WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
        " SELECT :head || (100000 + n), :tenant, :lane, 'studio/paint', 'v3', 'image', :priority, 'ready',"
        " :at, '' FROM numbers",
        count=count,
        head=make_id(T0)[:-6],
        tenant=tenant_id,
        lane=IMAGE_LANE,
        priority=priority,
        at=T0,
    )
    await execute(
        store,
        "INSERT INTO documents (job_id, input) SELECT id, '{}' FROM jobs WHERE tenant_id = :tenant",
        tenant=tenant_id,
    )
    await store.write(lanes.open_shares, wanted=[(IMAGE_LANE, tenant_id, priority)])


async def end_attempts(store: Store, ended: Iterable[Claim]) -> None:
    """Their tasks have ended at the provider, so their slots are free."""
    for one in ended:
        await execute(
            store, "UPDATE attempts SET ended_at = 1, check_at = NULL WHERE job_id = :id", id=one.job.id
        )


async def set_limits(
    store: Store, *, per_minute: int = 60_000, max_in_flight: int = 2_000, now: int = T0
) -> None:
    """As a process does when it starts, the first of all or another one."""
    limits = Limits(image_per_minute=per_minute, video_per_minute=per_minute, max_in_flight=max_in_flight)
    await store.write(lanes.ensure_account, account_id=ACCOUNT, provider="wavespeed", limits=limits, now=now)


async def set_lane(store: Store, **columns: float | str | None) -> None:
    """Change columns of the image lane, as signals would."""
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    await execute(store, f"UPDATE lanes SET {changes} WHERE media = 'image'", **columns)
