"""Takes a failed job off the list of dead letters: somebody has looked at it. A redrive brings it back."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.decision import Audited, Decision
from orchestrator.errors import Conflict, NotFound
from orchestrator.job import Attempt, Job, Phase
from orchestrator.runtime import Runtime

_REFUSED = "not failed"


async def dismiss(runtime: Runtime, tenant_id: str, job_id: str, *, actor: str) -> Job:
    """The job afterwards; twice is as once. Raises NotFound, and Conflict unless it has failed."""

    def decided(job: Job, attempt: Attempt | None) -> Decision:
        decision = decide(job, attempt, runtime.clock.now())
        return decision if decision.note == _REFUSED else replace(decision, audited=Audited(actor, "dismiss"))

    applied = await runtime.store.change(job_id, decided, source="client", tenant_id=tenant_id)
    if applied is None:
        raise NotFound("There is no such job.")
    if applied.note == _REFUSED:
        raise Conflict(f"Only a job that failed can be dismissed; this one is {applied.job.phase}.")
    return applied.job


def decide(job: Job, _attempt: Attempt | None, now: int) -> Decision:
    if job.phase != Phase.FAILED:
        return Decision(note=_REFUSED)
    return Decision(note="dismissed", job=replace(job, dismissed_at=job.dismissed_at or now))
