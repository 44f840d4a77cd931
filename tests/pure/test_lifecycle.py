"""The state machine: every move from every phase, and what each move leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.job import ENDED, Ending, HeldFor, Job, Phase, Reason
from orchestrator.lifecycle import MOVES, IllegalMove, Move, Verb
from tests.factories import T0, make_error, make_job, make_result
from tests.jobs import assert_possible

NOW = T0 + 1_000

CONSTRUCTORS: dict[Verb, Callable[[Job], Move]] = {
    Verb.RELEASE: lambda job: lifecycle.release(job, now=NOW),
    Verb.SCHEDULE: lambda job: lifecycle.schedule(job, at=NOW + 1),
    Verb.WAKE: lifecycle.wake,
    Verb.CLAIM: lambda job: lifecycle.claim(job, owner="w", now=NOW, lease_ms=25_000),
    Verb.GIVE_BACK: lambda job: lifecycle.give_back(job, "not sent"),
    Verb.DOUBT: lambda job: lifecycle.doubt(job, "lost"),
    Verb.ACCEPT: lambda job: lifecycle.accept(job, "has it", now=NOW, longest_ms=60_000),
    Verb.RETRY: lambda job: lifecycle.retry(job, "again", at=NOW + 5, tries=1),
    Verb.HOLD: lambda job: lifecycle.hold(job, "ask"),
    Verb.UNADOPT: lambda job: lifecycle.unadopt(job, "another's"),
    Verb.COMPLETE: lambda job: lifecycle.complete(job, "done", result=make_result(), now=NOW),
    Verb.FAIL: lambda job: lifecycle.fail(job, Reason.REJECTED, make_error(), now=NOW),
    Verb.REDRIVE: lambda job: lifecycle.redrive(job, "by hand"),
}


def test_every_verb_but_creation_has_a_constructor_and_a_row() -> None:
    assert set(CONSTRUCTORS) == set(MOVES) == set(Verb) - {Verb.CREATE}


@pytest.mark.parametrize(("verb", "phase"), list(product(MOVES, Phase)))
def test_a_move_goes_where_the_table_says_and_from_nowhere_else(verb: Verb, phase: Phase) -> None:
    job = make_job(phase)
    sources, target, _ = MOVES[verb]
    if phase not in sources:
        with pytest.raises(IllegalMove):
            CONSTRUCTORS[verb](job)
        return
    move = CONSTRUCTORS[verb](job)
    assert (move.verb, move.before, move.after.phase) == (verb, job, target)
    assert_possible(move.after)


def test_completed_is_left_by_no_move() -> None:
    assert [verb for verb, (sources, _, _) in MOVES.items() if Phase.COMPLETED in sources] == []


def test_failed_is_left_only_by_redrive_and_success() -> None:
    leaving = {verb for verb, (sources, _, _) in MOVES.items() if Phase.FAILED in sources}
    assert leaving == {Verb.REDRIVE, Verb.COMPLETE}


def test_a_cancelled_job_does_not_complete() -> None:
    with pytest.raises(IllegalMove):
        CONSTRUCTORS[Verb.COMPLETE](make_job(Phase.FAILED, reason=Reason.CANCELLED))


@pytest.mark.parametrize("verb", [Verb.COMPLETE, Verb.FAIL])
def test_an_end_clears_the_timer_and_the_lease_and_counts_the_ending(verb: Verb) -> None:
    job = CONSTRUCTORS[verb](make_job(Phase.SUBMITTING, ending=3)).after
    assert (job.due_at, job.lease_owner, job.finished_at, job.ending) == (None, None, NOW, 4)


def test_ends_carry_what_the_user_is_told() -> None:
    completed, failed = (CONSTRUCTORS[verb](make_job(Phase.ACCEPTED)) for verb in (Verb.COMPLETE, Verb.FAIL))
    assert completed.ending == Ending(result=make_result())
    assert failed.ending == Ending(error=make_error())


def test_a_claim_starts_the_next_attempt_under_a_lease() -> None:
    job = CONSTRUCTORS[Verb.CLAIM](make_job(attempt=2, started_at=5, start_by=7)).after
    assert (job.attempt, job.lease_owner, job.due_at, job.started_at) == (3, "w", NOW + 25_000, 5)


def test_a_doubt_by_a_lost_lease_is_counted_and_an_acceptance_forgives() -> None:
    job = make_job(Phase.SUBMITTING, lost_leases=1)
    assert CONSTRUCTORS[Verb.DOUBT](job).after.lost_leases == 1
    lost = lifecycle.doubt(job, "lease ended", is_lease_lost=True).after
    assert lost.lost_leases == 2
    assert CONSTRUCTORS[Verb.ACCEPT](lost).after.lost_leases == 0


@pytest.mark.parametrize(("finish_by", "due_at"), [(None, NOW + 60_000), (NOW + 5, NOW + 5)])
def test_an_accepted_job_is_due_at_the_earlier_deadline(finish_by: int | None, due_at: int) -> None:
    job = make_job(Phase.SUBMITTING, finish_by=finish_by)
    assert CONSTRUCTORS[Verb.ACCEPT](job).after.due_at == due_at


@pytest.mark.parametrize("verb", [Verb.RELEASE, Verb.WAKE, Verb.GIVE_BACK])
def test_start_by_counts_until_the_provider_may_have_the_job(verb: Verb) -> None:
    phase = {Verb.RELEASE: Phase.HELD, Verb.WAKE: Phase.WAITING, Verb.GIVE_BACK: Phase.SUBMITTING}[verb]
    held_for = HeldFor.BATCH if phase == Phase.HELD else None
    never_sent = make_job(phase, attempt=0, held_for=held_for, start_by=10, finish_by=20)
    assert CONSTRUCTORS[verb](never_sent).after.due_at == 10
    assert CONSTRUCTORS[verb](replace(never_sent, attempt=3)).after.due_at == 10
    assert CONSTRUCTORS[verb](replace(never_sent, attempt=1, tries=1)).after.due_at == 20
    assert CONSTRUCTORS[verb](replace(never_sent, start_by=None, finish_by=None)).after.due_at is None


@pytest.mark.parametrize(("tries", "due_at"), [(0, NOW + 10), (1, NOW + 50)])
def test_a_refusal_ends_its_pause_at_start_by_and_a_try_does_not(tries: int, due_at: int) -> None:
    job = make_job(Phase.SUBMITTING, start_by=NOW + 10, finish_by=NOW + 90)
    assert lifecycle.retry(job, "refused", at=NOW + 50, tries=tries).after.due_at == due_at


def test_start_by_says_nothing_of_a_job_in_doubt() -> None:
    job = make_job(Phase.IN_DOUBT, start_by=10, finish_by=20)
    assert lifecycle.hold(job, "in doubt").after.due_at == 20


def test_a_redrive_starts_afresh_but_keeps_the_attempts_and_endings() -> None:
    job = make_job(
        Phase.FAILED,
        attempt=4,
        tries=4,
        ending=2,
        lost_leases=3,
        start_by=1,
        finish_by=2,
        cancel_requested_at=3,
        dismissed_at=4,
    )
    after = lifecycle.redrive(job, "by hand").after
    fresh = replace(job, phase=Phase.READY, reason=None, tries=0, lost_leases=0, finished_at=None)
    fresh = replace(fresh, start_by=None, finish_by=None, cancel_requested_at=None, dismissed_at=None)
    assert after == fresh


def test_a_long_reason_is_cut() -> None:
    assert len(lifecycle.hold(make_job(Phase.IN_DOUBT), "x" * 2_000).because) == 500


@pytest.mark.parametrize("phase", list(Phase))
def test_the_users_word_is_created_until_an_attempt_has_started(phase: Phase) -> None:
    assert make_job(phase, attempt=0).public_state == (phase if phase in ENDED else "created")
    assert make_job(phase, attempt=1).public_state == (phase if phase in ENDED else "processing")
