"""The state machine of a job: its legal moves, and one constructor for each.

To change a job: read it under lock, build a move, hand it to the store. A move that is not legal
from the job's phase cannot be built. Pure: `now` is an argument, nothing is awaited.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from orchestrator.evidence import Error, ErrorKind, Result
from orchestrator.fingerprint import fingerprint
from orchestrator.job import Ending, HeldFor, Job, Phase, Reason, deadline


class Verb(StrEnum):
    """The moves."""

    CREATE = "create"
    RELEASE = "release"
    SCHEDULE = "schedule"
    WAKE = "wake"
    CLAIM = "claim"
    GIVE_BACK = "give_back"
    DOUBT = "doubt"
    ACCEPT = "accept"
    RETRY = "retry"
    HOLD = "hold"
    UNADOPT = "unadopt"
    COMPLETE = "complete"
    FAIL = "fail"
    REDRIVE = "redrive"


_OPEN = frozenset({Phase.HELD, Phase.READY, Phase.WAITING, Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED})
_AT_PROVIDER = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED, Phase.HELD})

MOVES: dict[Verb, tuple[frozenset[Phase], Phase, str]] = {
    Verb.RELEASE: (frozenset({Phase.HELD}), Phase.READY, "released: it may be claimed"),
    Verb.SCHEDULE: (
        frozenset({Phase.HELD}),
        Phase.WAITING,
        "released: it waits for its `not_before`",
    ),
    Verb.WAKE: (frozenset({Phase.WAITING}), Phase.READY, "its time has come"),
    Verb.CLAIM: (frozenset({Phase.READY}), Phase.SUBMITTING, "a worker leased it for one POST"),
    Verb.GIVE_BACK: (frozenset({Phase.SUBMITTING}), Phase.READY, "its living worker did not send it"),
    Verb.DOUBT: (frozenset({Phase.SUBMITTING}), Phase.IN_DOUBT, "nobody knows whether it was sent"),
    Verb.ACCEPT: (
        frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.HELD}),
        Phase.ACCEPTED,
        "the provider has it",
    ),
    Verb.RETRY: (_AT_PROVIDER, Phase.WAITING, "its attempt ended without success; another will follow"),
    Verb.HOLD: (
        frozenset({Phase.READY, Phase.WAITING, Phase.IN_DOUBT}),
        Phase.HELD,
        "its batch is paused, or an operator must decide",
    ),
    Verb.UNADOPT: (
        frozenset({Phase.ACCEPTED}),
        Phase.IN_DOUBT,
        "the task it had adopted from the history is another job's",
    ),
    Verb.COMPLETE: (_OPEN | {Phase.FAILED}, Phase.COMPLETED, "there is an output"),
    Verb.FAIL: (_OPEN, Phase.FAILED, "it ended with a reason"),
    Verb.REDRIVE: (frozenset({Phase.FAILED}), Phase.READY, "somebody asked for another attempt"),
}


class IllegalMove(Exception):
    """A move was built from a phase that it does not start from: a defect of ours."""


class Move(msgspec.Struct, frozen=True, gc=False):
    """One change of a job: the row before, the row after, and why."""

    verb: Verb
    before: Job
    after: Job
    because: str
    ending: Ending | None = None


def release(job: Job, *, now: int) -> Move:
    """Ready, or waiting until its `not_before`."""
    if not job.attempt and job.not_before is not None and job.not_before > now:
        return schedule(job, at=job.not_before)
    return _move(Verb.RELEASE, job, "released", due_at=deadline(job), cancel_requested_at=None)


def schedule(job: Job, *, at: int) -> Move:
    return _move(Verb.SCHEDULE, job, "scheduled", due_at=_by_deadline(job, at), cancel_requested_at=None)


def wake(job: Job) -> Move:
    return _move(Verb.WAKE, job, "due", due_at=deadline(job))


def claim(job: Job, *, owner: str, now: int, lease_ms: int) -> Move:
    return _move(
        Verb.CLAIM,
        job,
        f"leased by {owner}",
        attempt=job.attempt + 1,
        started_at=job.started_at or now,
        lease_owner=owner,
        due_at=now + lease_ms,
    )


def give_back(job: Job, because: str) -> Move:
    return _move(Verb.GIVE_BACK, job, because, lease_owner=None, due_at=deadline(job))


def doubt(job: Job, because: str, *, is_lease_lost: bool = False) -> Move:
    lost = job.lost_leases + is_lease_lost
    return _move(Verb.DOUBT, job, because, lease_owner=None, due_at=job.finish_by, lost_leases=lost)


def accept(job: Job, because: str, *, now: int, longest_ms: int) -> Move:
    due_at = now + longest_ms if job.finish_by is None else min(job.finish_by, now + longest_ms)
    return _move(Verb.ACCEPT, job, because, lease_owner=None, due_at=due_at, accepted_at=now, lost_leases=0)


def retry(job: Job, because: str, *, at: int, tries: int) -> Move:
    """Back off until `at`; `tries` is 1 when this attempt counts against the limit, else 0."""
    tried = msgspec.structs.replace(job, phase=Phase.WAITING, tries=job.tries + tries)
    due_at = _by_deadline(tried, at)
    return _move(Verb.RETRY, job, because, lease_owner=None, due_at=due_at, tries=tried.tries)


def hold(job: Job, because: str) -> Move:
    """For a person where it is in doubt, else for its batch."""
    held_for = HeldFor.DOUBT if job.phase == Phase.IN_DOUBT else HeldFor.BATCH
    return _move(Verb.HOLD, job, because, due_at=deadline(job), held_for=held_for)


def unadopt(job: Job, because: str) -> Move:
    return _move(Verb.UNADOPT, job, because, due_at=job.finish_by, accepted_at=None)


def complete(job: Job, because: str, *, result: Result, now: int) -> Move:
    if job.reason == Reason.CANCELLED:
        raise IllegalMove(f"job {job.id} was cancelled and cannot complete")
    return _end(Verb.COMPLETE, job, because, now=now, reason=None, ending=Ending(result=result))


def fail(job: Job, reason: Reason, error: Error, *, now: int) -> Move:
    return _end(Verb.FAIL, job, error.message, now=now, reason=reason, ending=Ending(error=error))


def redrive(job: Job, because: str) -> Move:
    return _move(
        Verb.REDRIVE,
        job,
        because,
        reason=None,
        tries=0,
        lost_leases=0,
        due_at=None,
        start_by=None,
        finish_by=None,
        finished_at=None,
        accepted_at=None,
        cancel_requested_at=None,
        dismissed_at=None,
        fingerprint=None,
    )


def cancelled() -> Error:
    """The error of a job that was cancelled before anything was paid."""
    return Error(ErrorKind.REJECTED, "The job was cancelled.")


def _by_deadline(job: Job, at: int) -> int:
    """A pause ends with the job's deadline at the latest: then it expires."""
    limit = deadline(job)
    return at if limit is None else min(at, limit)


def _end(verb: Verb, job: Job, because: str, *, now: int, reason: Reason | None, ending: Ending) -> Move:
    move = _move(
        verb,
        job,
        because,
        reason=reason,
        fingerprint=fingerprint(reason, because) if reason else None,
        lease_owner=None,
        due_at=None,
        finished_at=now,
        ending=job.ending + 1,
    )
    return msgspec.structs.replace(move, ending=ending)


def _move(verb: Verb, job: Job, because: str, **changes: Any) -> Move:
    sources, target, _ = MOVES[verb]
    if job.phase not in sources:
        raise IllegalMove(f"{verb} of job {job.id} from {job.phase}")
    after = msgspec.structs.replace(job, **({"phase": target, "held_for": None} | changes))
    return Move(verb, job, after, because[:500])
