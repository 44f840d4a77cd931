"""The one table that says what evidence about an attempt does to its job.

Early, late, older, adopted and duplicate evidence are rows of it; a test walks through all of them.
Pure: it runs inside the store's transaction, on locked rows.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from orchestrator import lifecycle, policy
from orchestrator.decision import Decision, LaneSignal, Signal
from orchestrator.evidence import Error, ErrorKind, Evidence, Result, Source, Status
from orchestrator.flow import attempts
from orchestrator.flow.attempts import OF_THE_ATTEMPT, Rules
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.lifecycle import Move

_AT_PROVIDER = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED, Phase.HELD})
_UNANSWERED = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.HELD})


def decide(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    """What this evidence does to the job and to its attempt."""
    if _is_of_another_task(attempt, evidence):
        return Decision(
            note="another id: ask for the one we know", attempt=attempts.check_now(attempt, rules)
        )
    return _BY_STATUS[evidence.status](job, attempts.with_evidence(attempt, evidence, rules), evidence, rules)


def _is_of_another_task(attempt: Attempt, evidence: Evidence) -> bool:
    """The attempt has an id and the evidence names another; an answer or a callback outranks an adoption."""
    if evidence.provider_id is None or attempt.provider_id in (None, evidence.provider_id):
        return False
    return not (attempt.is_adopted and evidence.source in OF_THE_ATTEMPT)


# COMPLETED


def _completed(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    result = evidence.result or Result()
    if not result.outputs:
        return _empty(job, attempt, evidence, rules)
    signals = _end_signals(attempt, evidence)
    ended = attempts.ended(attempt, "completed", evidence, rules)
    if job.phase == Phase.COMPLETED or job.reason == Reason.CANCELLED:
        is_new = attempt.ended_at is None
        # Paid for and not the job's result: kept here, so that nobody need pay for it again.
        kept = replace(ended, result=msgspec.json.encode(result).decode()) if is_new else ended
        note = "duplicate" if job.phase == Phase.COMPLETED else "paid, but the job was cancelled"
        return Decision(note=note, attempt=kept, signals=signals)
    is_late = attempt.number != job.attempt or job.phase == Phase.FAILED
    number = len(result.outputs)
    because = f"{evidence.source} brought {number} {'output' if number == 1 else 'outputs'}"
    return Decision(
        note="late success" if is_late else "completed",
        move=lifecycle.complete(job, because, result=result, now=rules.now),
        attempt=ended,
        signals=signals,
    )


def _empty(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    """Completed without an output is believed only when three polls in a minute say so."""
    is_counted = rules.empties is not None and rules.empties != attempt.empties
    if attempt.ended_at is not None or is_counted:
        return Decision(note="duplicate", attempt=attempt)
    empties = attempt.empties + (evidence.source == Source.POLL)
    if empties >= policy.EMPTY_CHECKS:
        error = Error(ErrorKind.REJECTED, "The provider says completed but gave no output.")
        return Decision(
            note="no output",
            move=_fail_if_current(job, attempt, Reason.NO_OUTPUT, error, rules),
            attempt=attempts.ended(attempt, "no_output", evidence, rules),
        )
    soon_s = policy.EMPTY_CHECK_S if evidence.source == Source.POLL else 1.0
    asked = replace(attempt, empties=empties, check_at=rules.now + int(1_000 * soon_s))
    return Decision(
        note="completed without an output: ask again", attempt=asked, move=_accepted_move(job, asked, rules)
    )


# FAILED


def _failed(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    error = evidence.error or Error(ErrorKind.TASK_FAILED, "The provider's task failed.")
    if attempt.ended_at is not None:
        return Decision(note="duplicate", attempt=attempt)
    return Decision(
        note="failed" if attempt.number == job.attempt else "failure of an older attempt",
        move=_after_failure(job, attempt, error, rules),
        attempt=attempts.ended(attempt, "failed", evidence, rules),
        signals=_end_signals(attempt, evidence),
    )


def _after_failure(job: Job, attempt: Attempt, error: Error, rules: Rules) -> Move | None:
    if attempt.number != job.attempt or job.phase not in _AT_PROVIDER:
        return None
    if job.cancel_requested_at is not None:
        return lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=rules.now)
    if error.kind == ErrorKind.REJECTED:
        return lifecycle.fail(job, Reason.REJECTED, error, now=rules.now)
    return try_again(job, error, rules)


def try_again(job: Job, error: Error, rules: Rules) -> Move:
    """Another try after a failed or lost task, if there is one left."""
    if job.tries + 1 >= policy.MAX_TRIES:
        return lifecycle.fail(job, Reason.EXHAUSTED, error, now=rules.now)
    pause_s = policy.backoff_s(job.tries + 1, rules.draw())
    return lifecycle.retry(job, error.message, at=rules.now + int(1_000 * pause_s), tries=1)


# REFUSED: provably no task


def _refused(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    error = evidence.error or Error(ErrorKind.UNAVAILABLE, "The provider refused.")
    signals = (_refusal_signal(error, rules),)
    if attempt.ended_at is not None:
        return Decision(note="duplicate", attempt=attempt)
    if attempt.provider_id is not None:
        return Decision(note="refused, but there is a task", attempt=attempt, signals=signals)
    return Decision(
        note=f"refused: {error.kind}",
        move=_after_refusal(job, attempt, error, rules),
        attempt=attempts.ended(attempt, str(error.kind), evidence, rules),
        signals=signals,
    )


def _after_refusal(job: Job, attempt: Attempt, error: Error, rules: Rules) -> Move | None:
    if attempt.number != job.attempt or job.phase not in _UNANSWERED:
        return None
    if job.cancel_requested_at is not None:
        return lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=rules.now)
    if error.kind == ErrorKind.REJECTED:
        return lifecycle.fail(job, Reason.REJECTED, error, now=rules.now)
    if error.kind == ErrorKind.UNCLEAR:
        return try_again(job, error, rules)
    cap_s = policy.ACCOUNT_PAUSE_CAP_S if error.kind == ErrorKind.ACCOUNT else policy.REFUSAL_PAUSE_CAP_S
    pause_s = policy.backoff_s(job.attempt - job.tries, rules.draw(), base_s=0.5, cap_s=cap_s)
    return lifecycle.retry(job, error.message, at=rules.now + int(1_000 * pause_s), tries=0)


def _refusal_signal(error: Error, rules: Rules) -> LaneSignal:
    if error.kind == ErrorKind.THROTTLED:
        pause_s = policy.throttle_pause_s(error.retry_after_s, rules.draw())
        return LaneSignal(Signal.THROTTLED, error.message, pause_s)
    if error.kind == ErrorKind.ACCOUNT:
        return LaneSignal(Signal.ACCOUNT, error.message)
    if error.kind == ErrorKind.UNCLEAR:
        return LaneSignal(Signal.ACCOUNT_UNSURE, error.message)
    if error.kind == ErrorKind.UNAVAILABLE:
        return LaneSignal(Signal.FAILING, error.message)
    return LaneSignal(Signal.HEALTHY)


# ACCEPTED


def _accepted(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    signals = (LaneSignal(Signal.HEALTHY),) if evidence.source == Source.ANSWER else ()
    if attempt.ended_at is not None:
        return Decision(note="late answer of an ended attempt", attempt=attempt, signals=signals)
    checks = attempt.checks + 1 if evidence.source == Source.POLL else 0
    watched = attempts.check_later(replace(attempt, checks=checks), job, rules)
    move = _accepted_move(job, watched, rules)
    return Decision(note="accepted" if move else "still running", move=move, attempt=watched, signals=signals)


def _accepted_move(job: Job, attempt: Attempt, rules: Rules) -> Move | None:
    if attempt.number != job.attempt or job.phase not in _UNANSWERED or attempt.provider_id is None:
        return None
    how = "found at the provider" if attempt.is_adopted else "the provider has it"
    longest_ms = int(1_000 * policy.PACES[job.media].longest_s)
    return lifecycle.accept(job, f"{how}: {attempt.provider_id}", now=rules.now, longest_ms=longest_ms)


# UNKNOWN, GONE, SILENT


def _unknown(job: Job, attempt: Attempt, evidence: Evidence, rules: Rules) -> Decision:
    status = f"HTTP {evidence.error.http_status}" if evidence.error and evidence.error.http_status else ""
    said = ": ".join(part for part in (status, evidence.excerpt[:200]) if part)
    signals = (LaneSignal(Signal.FAILING, said),)
    if attempt.ended_at is not None or job.phase != Phase.SUBMITTING or attempt.number != job.attempt:
        return Decision(note="unknown, and known better already", attempt=attempt, signals=signals)
    because = evidence.error.message if evidence.error else "the answer to the POST was lost"
    return Decision(
        note="in doubt",
        move=lifecycle.doubt(job, because),
        attempt=attempts.look_up_later(attempt, rules),
        signals=signals,
    )


def _not_told(job: Job, attempt: Attempt, _evidence: Evidence, rules: Rules) -> Decision:
    """A 404, or no answer at all: no failure; the deadline is what ends the waiting."""
    if attempt.ended_at is not None:
        return Decision(note="duplicate", attempt=attempt)
    asked = replace(attempt, checks=attempt.checks + 1)
    return Decision(note="not told", attempt=attempts.check_later(asked, job, rules))


_BY_STATUS: dict[Status, Callable[[Job, Attempt, Evidence, Rules], Decision]] = {
    Status.COMPLETED: _completed,
    Status.FAILED: _failed,
    Status.REFUSED: _refused,
    Status.ACCEPTED: _accepted,
    Status.UNKNOWN: _unknown,
    Status.GONE: _not_told,
    Status.SILENT: _not_told,
}


def _fail_if_current(job: Job, attempt: Attempt, reason: Reason, error: Error, rules: Rules) -> Move | None:
    if attempt.number != job.attempt or job.phase not in _AT_PROVIDER:
        return None
    return lifecycle.fail(job, reason, error, now=rules.now)


def _end_signals(attempt: Attempt, evidence: Evidence) -> tuple[LaneSignal, ...]:
    """Whether this lane's callbacks arrive: told by who brings the end of a task."""
    if evidence.source == Source.CALLBACK:
        return (LaneSignal(Signal.CALLED_BACK),)
    if attempt.ended_at is not None:
        return ()
    if evidence.source == Source.POLL:
        return (LaneSignal(Signal.FOUND_BY_POLL),)
    if evidence.source == Source.ANSWER:
        return (LaneSignal(Signal.HEALTHY),)
    return ()


def give_up_task(job: Job, attempt: Attempt, rules: Rules) -> Decision:
    """The task that this attempt had adopted from the history is another's: its own is unknown again."""
    bare = attempts.look_up_later(attempts.without_task(attempt), rules)
    if job.phase != Phase.ACCEPTED or job.attempt != attempt.number:
        return Decision(note="let go", attempt=bare)
    return Decision(
        note="let go",
        move=lifecycle.unadopt(job, "this task is another job's"),
        attempt=bare,
    )
