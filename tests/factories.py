"""Rows and values for tests: each factory sets only what the tables demand, the test what matters to it.

Simulated time starts at T0, which lies in the past, so that no id made in a test runs ahead of real ones.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from sqlalchemy import Connection, insert

from orchestrator import tables
from orchestrator.clock import Clock
from orchestrator.evidence import Error, ErrorKind, Evidence, Result, Source, Status
from orchestrator.ids import IdSource
from orchestrator.job import Attempt, HeldFor, Job, Phase, Reason
from orchestrator.policy import Limits
from orchestrator.store import lanes
from orchestrator.store.batches import Batch
from orchestrator.store.creation import Creation
from orchestrator.store.idempotency import Idempotency
from orchestrator.store.store import Store

T0 = 1_700_000_000_000
ACCOUNT = "wavespeed"
IMAGE_LANE = lanes.lane_id(ACCOUNT, "image")
VIDEO_LANE = lanes.lane_id(ACCOUNT, "video")
TENANT = IdSource().new_id(T0 - 1_000)
LIMITS = Limits(image_per_minute=60_000, video_per_minute=600, max_in_flight=2_000)

_moments = itertools.count(T0)


class SetClock(Clock):
    """A clock that stands where the test sets it."""

    def __init__(self, at: int = T0) -> None:
        super().__init__()
        self.at = at

    def now(self) -> int:
        return self.at


def make_id(at: int | None = None) -> str:
    """An id made at that time; without one, each is greater than the one before."""
    return IdSource().new_id(next(_moments) if at is None else at)


def make_job(phase: Phase = Phase.READY, **changes: Any) -> Job:
    """A job that the tables allow in this phase; its id is as old as its `created_at`."""
    created_at = changes.get("created_at", next(_moments))
    needed: dict[str, Any] = {
        "id": make_id(created_at),
        "tenant_id": TENANT,
        "lane_id": IMAGE_LANE,
        "model": "studio/paint",
        "api_version": "v3",
        "media": "image",
        "priority": 0,
        "phase": phase,
        "created_at": created_at,
        "input_hash": "0" * 32,
    }
    in_batch = {"held_for": HeldFor.BATCH} if phase == Phase.HELD and "batch_id" in changes else {}
    return Job(**(needed | _of_phase(phase) | in_batch | changes))


def _of_phase(phase: Phase) -> dict[str, Any]:
    if phase == Phase.SUBMITTING:
        return {"attempt": 1, "lease_owner": "worker-1", "due_at": T0 + 25_000}
    if phase in (Phase.IN_DOUBT, Phase.ACCEPTED):
        return {"attempt": 1}
    if phase == Phase.COMPLETED:
        return {"attempt": 1, "ending": 1, "finished_at": T0}
    if phase == Phase.FAILED:
        return {"attempt": 1, "ending": 1, "finished_at": T0, "reason": Reason.REJECTED}
    if phase == Phase.HELD:
        return {"held_for": HeldFor.DOUBT}
    return {"due_at": T0 + 5_000} if phase == Phase.WAITING else {}


def make_attempt(job: Job, **changes: Any) -> Attempt:
    """An open attempt of the job, the newest unless `number` says another."""
    needed: dict[str, Any] = {
        "job_id": job.id,
        "number": max(job.attempt, 1),
        "account_id": ACCOUNT,
        "claimed_at": T0,
        "input_hash": job.input_hash,
    }
    return Attempt(**(needed | changes))


def make_batch(**changes: Any) -> Batch:
    """An open batch without jobs."""
    needed: dict[str, Any] = {
        "id": make_id(),
        "tenant_id": TENANT,
        "name": "",
        "mode": "atomic",
        "model": "studio/paint",
        "state": "open",
        "created_at": T0,
        "request_hash": "0" * 64,
    }
    return Batch(**(needed | changes))


def make_creation(job: Job | None = None, *, key: str | None = None, request: str = "a") -> Creation:
    """`request` stands for the body that the Idempotency-Key was sent with."""
    idempotency = None if key is None else Idempotency(key, request.ljust(64, "0"))
    return Creation(job=job or make_job(), input='{"prompt":"a cat"}', idempotency=idempotency)


def make_evidence(status: Status, source: Source = Source.ANSWER, **changes: Any) -> Evidence:
    """Evidence of that status; COMPLETED brings one output."""
    if status == Status.COMPLETED:
        changes = {"result": make_result()} | changes
    return Evidence(status=status, source=source, **changes)


def make_result(*outputs: Any) -> Result:
    return Result(outputs=list(outputs or ("https://cdn.example/1.png",)), has_nsfw_contents=[False])


def make_error(kind: ErrorKind = ErrorKind.TASK_FAILED, message: str = "it broke") -> Error:
    return Error(kind, message)


def add_tenant(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    weight: float = 1.0,
    max_in_flight: int | None = None,
) -> str:
    """A tenant of its own; answers its id."""
    row = {
        "id": tenant_id or make_id(),
        "weight": weight,
        "max_in_flight": max_in_flight,
        "created_at": T0,
    }
    connection.execute(insert(tables.tenants), [row | {"name": row["id"]}])
    return str(row["id"])


def add_jobs(connection: Connection, jobs: list[Job]) -> None:
    """Rows as they would stand in these phases, with inputs and shares and without a history."""
    connection.execute(insert(tables.jobs), [msgspec.structs.asdict(job) for job in jobs])
    connection.execute(insert(tables.documents), [{"job_id": job.id, "input": "{}"} for job in jobs])
    lanes.open_shares(connection, {lanes.share_of(job) for job in jobs})


def add_attempts(connection: Connection, attempts: list[Attempt]) -> None:
    connection.execute(insert(tables.attempts), [msgspec.structs.asdict(one) for one in attempts])


async def stored_job(store: Store, phase: Phase = Phase.READY, **changes: Any) -> Job:
    """A stored job in this phase; with an open attempt where the phase has one."""
    job = make_job(phase, **changes)
    await store.write(add_jobs, jobs=[job])
    if job.attempt:
        ended_at = T0 if job.is_ended else None
        await store.write(add_attempts, attempts=[make_attempt(job, ended_at=ended_at)])
    return job
