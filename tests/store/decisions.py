"""Decisions for tests of the store: what flows would decide, cut to the one thing that a test needs."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.decision import Decide, Decision, LaneSignal, Signal
from orchestrator.evidence import Source
from orchestrator.job import Attempt, Job, Phase, Reason
from tests.factories import T0, make_error, make_result


def complete(job: Job, attempt: Attempt | None) -> Decision:
    """The job completes and its attempt ends."""
    move = lifecycle.complete(job, "done", result=make_result(), now=T0)
    ended = attempt and replace(
        attempt, ended_at=T0, ended_by=Source.POLL, outcome="completed", check_at=None
    )
    return Decision(note="completed", move=move, attempt=ended)


def fail(job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="failed", move=lifecycle.fail(job, Reason.REJECTED, make_error(), now=T0))


def fail_otherwise(job: Job, _attempt: Attempt | None) -> Decision:
    """With another fingerprint."""
    return Decision(note="failed", move=lifecycle.fail(job, Reason.NO_OUTPUT, make_error(), now=T0))


def release(job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="released", move=lifecycle.release(job, now=T0))


def hold(job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="held", move=lifecycle.hold(job, "its batch is paused"))


def release_or_redrive(job: Job, attempt: Attempt | None) -> Decision:
    """Whichever makes it ready again."""
    return (redrive if job.phase == Phase.FAILED else release)(job, attempt)


def mark(job: Job, _attempt: Attempt | None) -> Decision:
    """Any change that is no move."""
    return Decision(note="marked", job=replace(job, cancel_requested_at=T0))


def raising(_job: Job, _attempt: Attempt | None) -> Decision:
    raise ValueError("this decision has a defect")


def naming(provider_id: str) -> Decide:
    """The attempt takes this id of the provider's."""

    def decide(_job: Job, attempt: Attempt | None) -> Decision:
        return Decision(note="named", attempt=attempt and replace(attempt, provider_id=provider_id))

    return decide


def excerpt(text: str) -> Decide:
    def decide(_job: Job, attempt: Attempt | None) -> Decision:
        return Decision(note="noted", attempt=attempt and replace(attempt, excerpt=text))

    return decide


def signalling(*kinds: Signal, pause_s: float = 0.0) -> Decide:
    """Nothing changes but the lane."""

    def decide(_job: Job, _attempt: Attempt | None) -> Decision:
        signals = tuple(LaneSignal(kind, "in trouble", pause_s) for kind in kinds)
        return Decision(note="signalled", signals=signals)

    return decide


def redrive(job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="redriven", move=lifecycle.redrive(job, "somebody asked for it"))
