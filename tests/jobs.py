"""What must hold for every job and attempt, however it came to be: the tables' constraints in Python."""

from __future__ import annotations

from orchestrator import policy
from orchestrator.job import Attempt, Job, Phase


def assert_possible(job: Job) -> None:
    """The row can be stored, and the phase has the timer that somebody moves it on by."""
    assert (job.phase in (Phase.COMPLETED, Phase.FAILED)) == (job.finished_at is not None)
    assert (job.phase == Phase.FAILED) == (job.reason is not None)
    assert (job.phase == Phase.SUBMITTING) == (job.lease_owner is not None)
    if job.phase in (Phase.SUBMITTING, Phase.WAITING, Phase.ACCEPTED):
        assert job.due_at is not None
    if job.is_ended:
        assert job.due_at is None
        assert job.ending > 0
    assert 0 <= job.tries <= policy.MAX_TRIES


def assert_possible_attempt(attempt: Attempt) -> None:
    assert attempt.ended_at is None or attempt.check_at is None
    assert (attempt.ended_at is None) == (attempt.ended_by is None)
    assert (attempt.ended_at is None) == (attempt.outcome is None)
    assert len(attempt.outcome or "") <= 16
    assert not attempt.is_adopted or attempt.provider_id is not None
