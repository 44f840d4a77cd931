"""What is decided about an attempt in doubt once the provider's history was looked into."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import policy
from orchestrator.clock import HOUR
from orchestrator.decision import Decision
from orchestrator.evidence import Source
from orchestrator.flow.attempts import Rules
from orchestrator.flow.resolve import _looked, _unreadable, _unwatched
from orchestrator.job import Job, Phase, Reason
from tests.factories import T0, make_attempt, make_job
from tests.jobs import assert_possible, assert_possible_attempt

RULES = Rules(T0, draw=lambda: 0.5)


def look(*, found: int = 0, may_resubmit: bool = True, checks: int = 2, **job_changes: Any) -> Decision:
    job = make_job(Phase.IN_DOUBT, **job_changes)
    attempt = make_attempt(job, checks=checks)
    decision = _looked(job, attempt, RULES, found=found, may_resubmit=may_resubmit)
    assert decision.attempt is not None
    assert_possible_attempt(decision.attempt)
    if decision.move is not None:
        assert_possible(decision.move.after)
    return decision


def after(decision: Decision) -> Job:
    assert decision.move is not None
    return decision.move.after


@pytest.mark.parametrize(("checks", "next_s"), [(0, 30), (1, 120)])
def test_not_there_is_believed_after_three_look_ups_only(checks: int, next_s: int) -> None:
    decision = look(checks=checks)
    assert (decision.note, decision.move) == ("not found yet", None)
    assert decision.attempt is not None
    assert (decision.attempt.checks, decision.attempt.check_at) == (checks + 1, T0 + 1_000 * next_s)


def test_a_job_that_is_not_there_is_tried_again_and_its_slot_is_free() -> None:
    decision = look()
    assert decision.attempt is not None
    assert (after(decision).phase, after(decision).tries) == (Phase.WAITING, 1)
    assert (decision.attempt.outcome, decision.attempt.ended_by) == ("not_there", Source.HISTORY)


def test_the_last_try_that_was_lost_exhausts_the_job() -> None:
    assert after(look(tries=policy.MAX_TRIES - 1)).reason == Reason.EXHAUSTED


def test_a_cancelled_job_that_is_not_there_was_never_paid() -> None:
    assert after(look(cancel_requested_at=T0)).reason == Reason.CANCELLED


def test_what_must_not_be_resubmitted_is_held_for_a_person_and_keeps_its_slot() -> None:
    decision = look(may_resubmit=False)
    assert after(decision).phase == Phase.HELD
    assert decision.attempt is not None
    assert (decision.attempt.ended_at, decision.attempt.check_at) == (None, T0 + HOUR + 1_000)


def test_more_than_one_candidate_is_for_a_person_to_decide() -> None:
    decision = look(found=2)
    assert after(decision).phase == Phase.HELD
    assert decision.move is not None
    assert decision.move.because == "2 tasks at the provider could be this one"


def test_candidates_are_looked_at_again_before_a_person_is_asked() -> None:
    assert look(found=2, checks=0).note == "not found yet"


def test_a_history_that_cannot_be_read_is_read_again_for_ten_minutes_and_never_resubmitted() -> None:
    job = make_job(Phase.IN_DOUBT)
    fresh = _unreadable(job, make_attempt(job, claimed_at=T0 - policy.DOUBT_UNREADABLE_MS), RULES)
    old = _unreadable(job, make_attempt(job, claimed_at=T0 - policy.DOUBT_UNREADABLE_MS - 1), RULES)
    assert fresh.move is None
    assert fresh.attempt is not None
    assert fresh.attempt.check_at == T0 + 60_000
    assert after(old).phase == Phase.HELD


@pytest.mark.parametrize(("found", "may_resubmit"), [(2, True), (0, False)])
def test_what_was_cancelled_is_held_for_nobody(found: int, *, may_resubmit: bool) -> None:
    assert (
        after(look(found=found, may_resubmit=may_resubmit, cancel_requested_at=T0)).reason == Reason.CANCELLED
    )


def test_what_was_cancelled_and_may_have_a_task_keeps_its_slot() -> None:
    job = make_job(Phase.IN_DOUBT, cancel_requested_at=T0)
    attempt = make_attempt(job, claimed_at=T0 - policy.DOUBT_UNREADABLE_MS - 1)
    decision = _unreadable(job, attempt, RULES)
    assert after(decision).reason == Reason.CANCELLED
    assert decision.attempt is not None
    assert decision.attempt.ended_at is None
    assert decision.attempt.check_at is not None


@pytest.mark.parametrize("phase", [Phase.READY, Phase.WAITING, Phase.FAILED, Phase.COMPLETED, Phase.HELD])
def test_an_attempt_nobody_can_ask_about_keeps_its_slot_until_no_task_runs_that_long(phase: Phase) -> None:
    job = make_job(phase)
    attempt = _unwatched(make_attempt(job, check_at=T0), job)
    assert attempt is not None
    assert attempt.check_at == T0 + HOUR + 1_000


def test_an_attempt_that_is_being_sent_or_is_known_is_left_alone() -> None:
    sent, known = make_job(Phase.SUBMITTING), make_job(Phase.FAILED)
    being_sent = make_attempt(sent, check_at=T0)
    with_task = make_attempt(known, check_at=T0, provider_id="task-1")
    assert _unwatched(being_sent, sent) == being_sent
    assert _unwatched(with_task, known) == with_task
    assert _unwatched(None, known) is None
