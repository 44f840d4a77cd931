"""What people may ask of a job, phase by phase: cancel it, redrive it, and take back what was not sent."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.evidence import Source
from orchestrator.flow import cancel, redrive
from orchestrator.flow.attempts import Rules
from orchestrator.flow.settlement import give_up_task
from orchestrator.flow.submit import _given_back
from orchestrator.job import HeldFor, Phase, Reason
from tests.factories import T0, make_attempt, make_job
from tests.jobs import assert_possible, assert_possible_attempt


@pytest.mark.parametrize("phase", [Phase.HELD, Phase.READY, Phase.WAITING])
def test_a_job_that_is_not_at_the_provider_is_cancelled_at_once(phase: Phase) -> None:
    decision = cancel.decide(make_job(phase), None, T0)
    assert decision.move is not None
    assert decision.move.after.reason == Reason.CANCELLED
    assert_possible(decision.move.after)


@pytest.mark.parametrize("phase", [Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED])
def test_a_job_that_may_be_paid_is_marked_and_runs_on(phase: Phase) -> None:
    job = make_job(phase)
    decision = cancel.decide(job, None, T0)
    assert (decision.note, decision.move) == ("marked", None)
    assert decision.job == replace(job, cancel_requested_at=T0)


def test_a_second_cancel_keeps_the_time_of_the_first() -> None:
    marked = make_job(Phase.ACCEPTED, cancel_requested_at=T0 - 5)
    assert cancel.decide(marked, None, T0).job == marked


@pytest.mark.parametrize("phase", [Phase.COMPLETED, Phase.FAILED])
def test_an_ended_job_cannot_be_cancelled(phase: Phase) -> None:
    decision = cancel.decide(make_job(phase), None, T0)
    assert (decision.note, decision.move, decision.job) == ("ended", None, None)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_failed_job_is_redriven_whatever_it_failed_of(reason: Reason) -> None:
    decision = redrive.decide(make_job(Phase.FAILED, reason=reason), None, actor="key-1", now=T0)
    assert decision.move is not None
    assert decision.move.because == "redriven by key-1"
    assert decision.move.after.phase == Phase.READY
    assert_possible(decision.move.after)


def test_a_job_that_is_held_in_doubt_is_released() -> None:
    job = make_job(Phase.HELD, attempt=1)
    decision = redrive.decide(job, make_attempt(job), actor="key-1", now=T0)
    assert decision.note == "released"
    assert decision.move is not None
    assert decision.move.after.phase == Phase.READY


def test_a_job_that_is_held_with_its_batch_is_not_redriven_by_itself() -> None:
    decision = redrive.decide(make_job(Phase.HELD, held_for=HeldFor.BATCH), None, actor="key-1", now=T0)
    assert (decision.note, decision.move) == ("neither failed nor in doubt", None)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.FAILED, Phase.HELD)])
def test_any_other_job_is_not_redriven(phase: Phase) -> None:
    decision = redrive.decide(make_job(phase), None, actor="key-1", now=T0)
    assert (decision.note, decision.move, decision.job) == ("neither failed nor in doubt", None, None)


def test_a_claim_given_back_is_ready_again_and_its_attempt_has_ended() -> None:
    job = make_job(Phase.SUBMITTING)
    decision = _given_back(job, make_attempt(job), "too old", T0)
    assert decision.move is not None
    assert decision.attempt is not None
    assert decision.move.after.phase == Phase.READY
    assert (decision.attempt.outcome, decision.attempt.ended_by) == ("not_sent", Source.WORKER)
    assert_possible_attempt(decision.attempt)


def test_a_claim_given_back_after_a_cancel_is_not_sent_again() -> None:
    job = make_job(Phase.SUBMITTING, cancel_requested_at=T0 - 5)
    decision = _given_back(job, make_attempt(job), "too old", T0)
    assert decision.move is not None
    assert decision.move.after.reason == Reason.CANCELLED
    assert_possible(decision.move.after)


@pytest.mark.parametrize("ended_at", [None, T0])
def test_an_adopter_lets_go_of_another_jobs_task_and_looks_again(ended_at: int | None) -> None:
    job = make_job(Phase.ACCEPTED)
    ended = {} if ended_at is None else {"ended_by": Source.POLL, "outcome": "completed"}
    attempt = make_attempt(job, provider_id="task-1", is_adopted=True, ended_at=ended_at, **ended)
    decision = give_up_task(job, attempt, Rules(T0))
    assert decision.move is not None
    assert decision.attempt is not None
    assert decision.move.after.phase == Phase.IN_DOUBT
    assert (decision.attempt.provider_id, decision.attempt.check_at) == (None, T0 + 5_000)
    assert_possible_attempt(decision.attempt)


@pytest.mark.parametrize("phase", [Phase.COMPLETED, Phase.FAILED, Phase.READY])
def test_an_adopter_that_has_moved_on_only_lets_go(phase: Phase) -> None:
    job = make_job(phase)
    decision = give_up_task(job, make_attempt(job, provider_id="task-1", is_adopted=True), Rules(T0))
    assert decision.move is None
    assert decision.attempt is not None
    assert decision.attempt.provider_id is None
