"""Cancels a job: at once when nothing was sent, else as soon as the provider is done with it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.decision import Audited, Decision
from orchestrator.errors import Conflict, NotFound
from orchestrator.job import Attempt, Job, Phase, Reason, is_in_doubt
from orchestrator.runtime import Runtime

_UNSENT = frozenset({Phase.HELD, Phase.READY, Phase.WAITING})
_ENDED = "ended"


class Cancelled(msgspec.Struct, frozen=True):
    """The job afterwards: failed, or marked and still running because it may already be paid for."""

    job: Job
    may_be_billed: bool


async def cancel(runtime: Runtime, tenant_id: str, job_id: str, *, actor: str) -> Cancelled:
    """Raises NotFound, and Conflict for a job that has ended."""

    def decided(job: Job, attempt: Attempt | None) -> Decision:
        decision = decide(job, attempt, runtime.clock.now())
        return decision if decision.note == _ENDED else replace(decision, audited=Audited(actor, "cancel"))

    applied = await runtime.store.change(job_id, decided, source="client", tenant_id=tenant_id)
    if applied is None:
        raise NotFound("There is no such prediction.")
    if applied.note == _ENDED:
        raise Conflict(f"The job has ended already: {applied.job.public_state}.")
    runtime.announce(applied)
    # "applied" is all that is known of a change whose COMMIT was lost.
    is_unsent = applied.note == "cancelled" or (applied.note == "applied" and not applied.job.attempt)
    return Cancelled(applied.job, may_be_billed=not is_unsent)


def decide(job: Job, _attempt: Attempt | None, now: int) -> Decision:
    if job.is_ended:
        return Decision(note=_ENDED)
    if job.phase in _UNSENT:
        move = lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=now)
        maybe_sent = is_in_doubt(job)
        return Decision(note="cancelled, maybe sent" if maybe_sent else "cancelled", move=move)
    return Decision(note="marked", job=replace(job, cancel_requested_at=job.cancel_requested_at or now))
