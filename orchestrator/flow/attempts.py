"""What evidence does to the attempt that it speaks of: what is kept of it, and when it is looked at next.

Pure, like `settlement`, which says what becomes of the job.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from orchestrator import policy
from orchestrator.evidence import Evidence, Source, Status
from orchestrator.job import Attempt, Job

_GOES_WELL = frozenset({Status.ACCEPTED, Status.COMPLETED})
# They speak of this very attempt; a poll and the history speak of the id that they were asked for.
OF_THE_ATTEMPT = frozenset({Source.ANSWER, Source.CALLBACK})


class Rules(msgspec.Struct, frozen=True):
    """What the decision depends on besides the rows and the evidence."""

    now: int
    is_pushed: bool = True
    draw: Callable[[], float] = random.random
    empties: int | None = None
    """How many empty answers were known when this one was asked for, where it was."""


def with_evidence(attempt: Attempt, evidence: Evidence, rules: Rules) -> Attempt:
    """The attempt with what every evidence adds: the id, the first answer, its words."""
    # What went well is told by the id and the outputs; a trouble's own words are kept for the timeline.
    words = "" if evidence.status in _GOES_WELL else evidence.excerpt
    told = replace(attempt, excerpt=words or attempt.excerpt)
    if evidence.provider_id is not None:
        told = replace(
            told,
            provider_id=evidence.provider_id,
            # What a poll or the history brings to an attempt without a task is adopted: found, not told.
            is_adopted=(attempt.provider_id is None or attempt.is_adopted)
            and evidence.source not in OF_THE_ATTEMPT,
        )
    if evidence.source == Source.ANSWER and attempt.answered_at is None:
        told = replace(told, answered_at=rules.now)
    return told


def ended(attempt: Attempt, outcome: str, evidence: Evidence, rules: Rules) -> Attempt:
    """Ended by the first that says so."""
    if attempt.ended_at is not None:
        return attempt
    return replace(attempt, ended_at=rules.now, ended_by=evidence.source, outcome=outcome, check_at=None)


def check_later(attempt: Attempt, job: Job, rules: Rules) -> Attempt:
    """Plan the next question about its task."""
    in_s = policy.check_in_s(job.media, attempt.checks, rules.draw(), is_pushed=rules.is_pushed)
    return replace(attempt, check_at=rules.now + int(1_000 * in_s))


def check_now(attempt: Attempt, rules: Rules) -> Attempt:
    """The same, but at once."""
    return attempt if attempt.ended_at is not None else replace(attempt, check_at=rules.now)


def look_up_later(attempt: Attempt, rules: Rules) -> Attempt:
    """Plan the next look into the provider's history for an attempt whose answer was lost."""
    return replace(attempt, check_at=rules.now + int(1_000 * policy.doubt_check_in_s(attempt.checks)))


def read_again_later(attempt: Attempt, rules: Rules) -> Attempt:
    """The same after a look that could not be taken: it does not count."""
    in_s = policy.unread_check_in_s((rules.now - attempt.claimed_at) / 1_000)
    return replace(attempt, check_at=rules.now + int(1_000 * in_s))


def without_task(attempt: Attempt) -> Attempt:
    """As it was before it was known which task is its own."""
    return replace(
        attempt,
        provider_id=None,
        is_adopted=False,
        checks=0,
        empties=0,
        ended_at=None,
        ended_by=None,
        outcome=None,
    )
