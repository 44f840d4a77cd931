"""Gives a dead letter another life: a new attempt of the same job. Also releases a job that is held."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.decision import Audited, Decision
from orchestrator.errors import Conflict, NotFound
from orchestrator.job import Attempt, HeldFor, Job, Phase
from orchestrator.runtime import Runtime
from orchestrator.store.idempotency import Once

_REFUSED = "neither failed nor in doubt"


async def redrive(
    runtime: Runtime, tenant_id: str, job_id: str, *, actor: str, once: Once | None = None
) -> Job:
    """The job afterwards. Raises NotFound, Conflict unless it has failed or is held, and Used."""

    def decided(job: Job, attempt: Attempt | None) -> Decision:
        decision = decide(job, attempt, actor=actor, now=runtime.clock.now())
        return decision if decision.note == _REFUSED else replace(decision, audited=Audited(actor, "redrive"))

    applied = await runtime.store.change(job_id, decided, source="client", tenant_id=tenant_id, once=once)
    if applied is None:
        raise NotFound("There is no such prediction.")
    if applied.note == _REFUSED:
        raise Conflict(
            "Only a job that failed, or is held because nobody knows whether it was sent, can be redriven;"
            f" this one is {applied.job.phase}."
        )
    runtime.announce(applied)
    return applied.job


def decide(job: Job, _attempt: Attempt | None, *, actor: str, now: int) -> Decision:
    if job.phase == Phase.FAILED:
        return Decision(note="redriven", move=lifecycle.redrive(job, f"redriven by {actor}"))
    # What only waits for its batch is released with the batch.
    if job.held_for == HeldFor.DOUBT:
        return Decision(note="released", move=lifecycle.release(job, now=now))
    return Decision(note=_REFUSED)
