"""Gives a dead letter another life: a new attempt of the same job. Also releases a job that is held."""

from __future__ import annotations

from orchestrator import lifecycle
from orchestrator.decision import Decision
from orchestrator.errors import Conflict, NotFound
from orchestrator.job import Attempt, HeldFor, Job, Phase
from orchestrator.runtime import Runtime
from orchestrator.store import keys

_REFUSED = "neither failed nor in doubt"


async def redrive(runtime: Runtime, tenant_id: str, job_id: str, *, actor: str) -> Job:
    """The job afterwards. Raises NotFound, and Conflict unless it has failed or is held."""
    applied = await runtime.store.change(
        job_id,
        lambda job, attempt: decide(job, attempt, actor=actor, now=runtime.clock.now()),
        source="client",
        tenant_id=tenant_id,
    )
    if applied is None:
        raise NotFound("There is no such prediction.")
    if applied.note == _REFUSED:
        raise Conflict(
            "Only a job that failed, or is held because nobody knows whether it was sent, can be redriven;"
            f" this one is {applied.job.phase}."
        )
    await runtime.store.write(
        keys.record_audit,
        tenant_id=tenant_id,
        actor=actor,
        action="redrive",
        subject=job_id,
        now=runtime.clock.now(),
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
