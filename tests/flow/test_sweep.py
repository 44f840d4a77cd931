"""What a job does whose timer has run out, phase by phase."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator import policy
from orchestrator.bell import Kind
from orchestrator.decision import Decide, Decision
from orchestrator.errors import Busy
from orchestrator.flow import sweep
from orchestrator.flow.attempts import Rules
from orchestrator.flow.sweep import change_all, decide
from orchestrator.job import Attempt, HeldFor, Job, Phase, Reason
from orchestrator.runtime import Runtime
from orchestrator.store import retention
from orchestrator.store.trouble import TookTooLong
from tests.factories import T0, make_attempt, make_job, stored_job
from tests.jobs import assert_possible, assert_possible_attempt
from tests.store.rows import count, execute, job_of

RULES = Rules(T0, draw=lambda: 0.5)


@pytest.mark.parametrize(
    ("phase", "note", "after", "reason"),
    [
        (Phase.READY, "expired", Phase.FAILED, Reason.EXPIRED),
        (Phase.WAITING, "woken", Phase.READY, None),
        (Phase.SUBMITTING, "lease ended", Phase.IN_DOUBT, None),
        (Phase.IN_DOUBT, "unresolved", Phase.FAILED, Reason.UNRESOLVED),
        (Phase.ACCEPTED, "expired", Phase.FAILED, Reason.EXPIRED),
    ],
)
def test_a_due_job_moves_on(phase: Phase, note: str, after: Phase, reason: Reason | None) -> None:
    job = make_job(phase, due_at=T0)
    decision = decide(job, make_attempt(job), RULES)
    assert decision.move is not None
    assert (decision.note, decision.move.after.phase, decision.move.after.reason) == (note, after, reason)
    assert_possible(decision.move.after)


@pytest.mark.parametrize("due_at", [None, T0 + 1])
@pytest.mark.parametrize("phase", [Phase.READY, Phase.HELD, Phase.IN_DOUBT])
def test_a_job_that_is_not_due_stays(phase: Phase, due_at: int | None) -> None:
    decision = decide(make_job(phase, due_at=due_at), None, RULES)
    assert (decision.note, decision.move, decision.job) == ("not due any more", None, None)


def test_a_held_job_expires_by_its_start_by() -> None:
    decision = decide(make_job(Phase.HELD, held_for=HeldFor.BATCH, due_at=T0, start_by=T0), None, RULES)
    assert decision.move is not None
    assert (decision.move.after.phase, decision.move.after.reason) == (Phase.FAILED, Reason.EXPIRED)
    assert "start_by" in decision.move.because


@pytest.mark.parametrize(
    ("phase", "tries", "named"),
    [(Phase.READY, 0, "start_by"), (Phase.READY, 1, "finish_by"), (Phase.ACCEPTED, 0, "finish_by")],
)
def test_a_reason_names_the_deadline_that_has_passed(phase: Phase, tries: int, named: str) -> None:
    job = make_job(phase, tries=tries, due_at=T0, start_by=T0, finish_by=T0)
    decision = decide(job, make_attempt(job), RULES)
    assert decision.move is not None
    assert named in decision.move.because


def test_a_held_job_that_may_have_been_sent_is_unresolved_at_its_finish_by() -> None:
    job = make_job(Phase.HELD, attempt=1, due_at=T0, finish_by=T0)
    decision = decide(job, make_attempt(job), RULES)
    assert decision.move is not None
    assert decision.move.after.reason == Reason.UNRESOLVED


def test_an_ended_job_forgets_its_timer() -> None:
    decision = decide(make_job(Phase.COMPLETED, due_at=T0), None, RULES)
    assert decision.move is None
    assert decision.job is not None
    assert decision.job.due_at is None


def test_a_waiting_job_past_its_deadline_expires() -> None:
    decision = decide(make_job(Phase.WAITING, due_at=T0 - 5, finish_by=T0), None, RULES)
    assert decision.move is not None
    assert decision.move.after.reason == Reason.EXPIRED


def test_a_woken_job_keeps_its_deadline() -> None:
    decision = decide(make_job(Phase.WAITING, due_at=T0, finish_by=T0 + 9), None, RULES)
    assert decision.move is not None
    assert decision.move.after.due_at == T0 + 9


def test_an_ended_lease_is_counted_and_its_task_looked_for() -> None:
    job = make_job(Phase.SUBMITTING, due_at=T0)
    decision = decide(job, make_attempt(job), RULES)
    assert decision.move is not None
    assert decision.attempt is not None
    assert decision.move.after.lost_leases == 1
    assert decision.attempt.check_at == T0 + 5_000
    assert_possible_attempt(decision.attempt)


@pytest.mark.parametrize(
    ("lost_leases", "is_solo", "note"),
    [(1, False, "lease ended"), (2, False, "lease ended"), (2, True, "poisoned"), (1, True, "lease ended")],
)
def test_the_third_lease_that_ends_alone_poisons_and_its_neighbours_are_innocent(
    lost_leases: int, is_solo: bool, note: str
) -> None:
    job = make_job(Phase.SUBMITTING, due_at=T0, lost_leases=lost_leases)
    decision = decide(job, make_attempt(job, is_solo=is_solo), RULES)
    assert decision.note == note
    assert decision.move is not None
    assert decision.move.before == job
    assert decision.move.after.lost_leases == lost_leases + 1
    assert_possible(decision.move.after)


def test_a_poisoned_job_may_still_be_paid_so_its_attempt_is_looked_for() -> None:
    job = make_job(Phase.SUBMITTING, due_at=T0, lost_leases=policy.POISONED_AT_LOST_LEASES - 1)
    decision = decide(job, replace(make_attempt(job), is_solo=True), RULES)
    assert decision.attempt is not None
    assert (decision.attempt.ended_at, decision.attempt.check_at) == (None, T0 + 5_000)


async def test_one_job_that_cannot_be_changed_keeps_no_other_from_its_time(runtime: Runtime) -> None:
    jobs = [await stored_job(runtime.store, Phase.WAITING, due_at=T0) for _ in range(3)]
    bad = jobs[1].id
    rung: list[Kind] = []
    runtime.bell.listen(Kind.SUBMIT, lambda: rung.append(Kind.SUBMIT))

    def decide_or_raise(job: Job, attempt: Attempt | None) -> Decision:
        if job.id == bad:
            raise ValueError("this job has a defect")
        return decide(job, attempt, RULES)

    with pytest.raises(ValueError, match="a defect"):
        await change_all(runtime, [job.id for job in jobs], decide_or_raise)
    phases = [(await job_of(runtime.store, job.id)).phase for job in jobs]
    assert phases == [Phase.READY, Phase.WAITING, Phase.READY]
    assert len(rung) == 2, "what was changed is announced"


async def test_jobs_that_cannot_be_moved_keep_none_behind_them_from_their_time(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {(await stored_job(runtime.store, Phase.WAITING, due_at=T0)).id for _ in range(3)}
    good = await stored_job(runtime.store, Phase.WAITING, due_at=T0 + 1)

    def decide_or_raise(job: Job, attempt: Attempt | None, rules: Rules) -> Decision:
        if job.id in bad:
            raise ValueError("this job has a defect")
        return decide(job, attempt, rules)

    monkeypatch.setattr(sweep, "decide", decide_or_raise)
    monkeypatch.setattr(sweep, "_AT_A_TIME", 2)
    with pytest.raises(ValueError, match="a defect"):
        await sweep.sweep_jobs(runtime)
    assert (await job_of(runtime.store, good.id)).phase == Phase.READY


async def test_a_row_that_stays_locked_keeps_no_job_behind_it_from_its_time(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = [await stored_job(runtime.store, Phase.WAITING, due_at=T0) for _ in range(2)]
    good = await stored_job(runtime.store, Phase.WAITING, due_at=T0 + 1)

    async def change_or_wait(runtime: Runtime, ids: list[str], decided: Decide) -> None:
        if locked[0].id in ids:
            raise TookTooLong(cause="it is locked")
        await change_all(runtime, ids, decided)

    monkeypatch.setattr(sweep, "change_all", change_or_wait)
    monkeypatch.setattr(sweep, "_AT_A_TIME", 2)
    with pytest.raises(TookTooLong):
        await sweep.sweep_jobs(runtime)
    assert (await job_of(runtime.store, good.id)).phase == Phase.READY


async def test_what_fails_among_the_old_keeps_nothing_else_from_being_deleted(runtime: Runtime) -> None:
    await stored_job(runtime.store, Phase.COMPLETED, finished_at=T0)
    await execute(runtime.store, "ALTER TABLE sessions RENAME TO elsewhere")
    await sweep.sweep_old(runtime)
    assert await count(runtime.store, "jobs") == 0


async def test_all_old_jobs_are_deleted_however_little_is_done_at_a_time(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_LOOKED_THROUGH", 2)
    monkeypatch.setattr(sweep, "_DELETED_AT_A_TIME", 2)
    for n in range(5):
        await stored_job(runtime.store, Phase.COMPLETED, finished_at=T0 + n)
        await stored_job(runtime.store, Phase.COMPLETED, finished_at=T0 + n)
    await execute(runtime.store, "UPDATE documents SET input = :text", text="x" * 1_500_000)
    await sweep.sweep_old(runtime)
    assert await count(runtime.store, "jobs") == 0


async def test_a_database_that_is_away_is_no_defect_of_the_sweep(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_away(_runtime: Runtime) -> None:
        raise Busy(cause="the database is away")

    monkeypatch.setattr(sweep, "reseal", is_away)
    with pytest.raises(Busy):
        await sweep.sweep_old(runtime)
