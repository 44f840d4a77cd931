"""Takes a failed job off the list of dead letters: somebody has looked at it. A redrive brings it back."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.decision import Decision
from orchestrator.errors import Conflict, NotFound
from orchestrator.job import Attempt, Job, Phase
from orchestrator.runtime import Runtime
from orchestrator.store import keys

_REFUSED = "not failed"


async def dismiss(runtime: Runtime, tenant_id: str, job_id: str, *, actor: str) -> Job:
    """The job afterwards; twice is as once. Raises NotFound, and Conflict unless it has failed."""
    now = runtime.clock.now()
    applied = await runtime.store.change(
        job_id, lambda job, attempt: decide(job, attempt, now), source="client", tenant_id=tenant_id
    )
    if applied is None:
        raise NotFound("There is no such job.")
    if applied.note == _REFUSED:
        raise Conflict(f"Only a job that failed can be dismissed; this one is {applied.job.phase}.")
    await runtime.store.write(
        keys.record_audit, tenant_id=tenant_id, actor=actor, action="dismiss", subject=job_id, now=now
    )
    return applied.job


def decide(job: Job, _attempt: Attempt | None, now: int) -> Decision:
    if job.phase != Phase.FAILED:
        return Decision(note=_REFUSED)
    return Decision(note="dismissed", job=replace(job, dismissed_at=job.dismissed_at or now))
