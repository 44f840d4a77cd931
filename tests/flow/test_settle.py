"""The table of settlements, walked through cell by cell: phase × attempt × evidence × cancel mark.

Each cell must be covered by exactly one row, so that no combination is left to chance.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from orchestrator import policy
from orchestrator.decision import Decision, LaneSignal, Signal
from orchestrator.evidence import Error, ErrorKind, Evidence, Result, Source, Status
from orchestrator.flow.attempts import Rules
from orchestrator.flow.settlement import decide
from orchestrator.job import Attempt, Job, Phase, Reason
from tests.factories import T0, make_attempt, make_error, make_evidence, make_job, make_result
from tests.jobs import assert_possible, assert_possible_attempt

NOW = T0 + 10_000
RULES = Rules(NOW, draw=lambda: 0.5)
TASK = "task-1"


def _failed(kind: ErrorKind) -> Evidence:
    return make_evidence(Status.FAILED, Source.POLL, provider_id=TASK, error=make_error(kind))


def _refused(kind: ErrorKind) -> Evidence:
    return make_evidence(Status.REFUSED, error=make_error(kind))


EVIDENCE = {
    "accepted": make_evidence(Status.ACCEPTED, provider_id=TASK),
    "completed": make_evidence(Status.COMPLETED, Source.CALLBACK, provider_id=TASK),
    "empty": make_evidence(Status.COMPLETED, Source.POLL, provider_id=TASK, result=Result()),
    "task failed": _failed(ErrorKind.TASK_FAILED),
    "task rejected": _failed(ErrorKind.REJECTED),
    "unavailable": _refused(ErrorKind.UNAVAILABLE),
    "throttled": _refused(ErrorKind.THROTTLED),
    "account": _refused(ErrorKind.ACCOUNT),
    "unclear": _refused(ErrorKind.UNCLEAR),
    "rejected": _refused(ErrorKind.REJECTED),
    "unknown": make_evidence(Status.UNKNOWN, error=make_error(ErrorKind.LOST, "cut")),
    "gone": make_evidence(Status.GONE, Source.POLL),
    "silent": make_evidence(Status.SILENT, Source.POLL),
}
JOBS = {str(phase): make_job(phase, attempt=2) for phase in Phase}
JOBS["cancelled"] = replace(JOBS["failed"], reason=Reason.CANCELLED)

AT_PROVIDER = {"submitting", "in_doubt", "accepted", "held"}
UNANSWERED = {"submitting", "in_doubt", "held"}
OPEN = {"held", "ready", "waiting", "submitting", "in_doubt", "accepted"}
ALL = set(JOBS)
REFUSALS = {"unavailable", "throttled", "account", "unclear"}
CURRENT, OLDER, BOTH = {True}, {False}, {True, False}
MARKED, UNMARKED = {True}, {False}
SAME = None


class Row(NamedTuple):
    """Where the row applies, and what then happens; `after` SAME means that the job stays as it is."""

    kinds: set[str]
    phases: set[str]
    is_current: set[bool]
    is_marked: set[bool]
    note: str
    after: str | None
    outcome: str | None


TABLE = [
    Row({"accepted"}, UNANSWERED, CURRENT, BOTH, "accepted", "accepted", None),
    Row({"accepted"}, ALL - UNANSWERED, CURRENT, BOTH, "still running", SAME, None),
    Row({"accepted"}, ALL, OLDER, BOTH, "still running", SAME, None),
    Row({"completed"}, OPEN, CURRENT, BOTH, "completed", "completed", "completed"),
    Row({"completed"}, OPEN, OLDER, BOTH, "late success", "completed", "completed"),
    Row({"completed"}, {"failed"}, BOTH, BOTH, "late success", "completed", "completed"),
    Row({"completed"}, {"completed"}, BOTH, BOTH, "duplicate", SAME, "completed"),
    Row({"completed"}, {"cancelled"}, BOTH, BOTH, "paid, but the job was cancelled", SAME, "completed"),
    Row({"empty"}, UNANSWERED, CURRENT, BOTH, "completed without an output: ask again", "accepted", None),
    Row({"empty"}, ALL - UNANSWERED, CURRENT, BOTH, "completed without an output: ask again", SAME, None),
    Row({"empty"}, ALL, OLDER, BOTH, "completed without an output: ask again", SAME, None),
    Row({"task failed"}, AT_PROVIDER, CURRENT, UNMARKED, "failed", "waiting", "failed"),
    Row({"task failed"}, AT_PROVIDER, CURRENT, MARKED, "failed", "cancelled", "failed"),
    Row({"task failed"}, ALL - AT_PROVIDER, CURRENT, BOTH, "failed", SAME, "failed"),
    Row({"task failed"}, ALL, OLDER, BOTH, "failure of an older attempt", SAME, "failed"),
    Row({"task rejected"}, AT_PROVIDER, CURRENT, UNMARKED, "failed", "rejected", "failed"),
    Row({"task rejected"}, AT_PROVIDER, CURRENT, MARKED, "failed", "cancelled", "failed"),
    Row({"task rejected"}, ALL - AT_PROVIDER, CURRENT, BOTH, "failed", SAME, "failed"),
    Row({"task rejected"}, ALL, OLDER, BOTH, "failure of an older attempt", SAME, "failed"),
    Row(REFUSALS, UNANSWERED, CURRENT, UNMARKED, "refused: *", "waiting", "*"),
    Row(REFUSALS, UNANSWERED, CURRENT, MARKED, "refused: *", "cancelled", "*"),
    Row({"rejected"}, UNANSWERED, CURRENT, UNMARKED, "refused: *", "rejected", "*"),
    Row({"rejected"}, UNANSWERED, CURRENT, MARKED, "refused: *", "cancelled", "*"),
    Row(REFUSALS | {"rejected"}, ALL - UNANSWERED, CURRENT, BOTH, "refused: *", SAME, "*"),
    Row(REFUSALS | {"rejected"}, ALL, OLDER, BOTH, "refused: *", SAME, "*"),
    Row({"unknown"}, {"submitting"}, CURRENT, BOTH, "in doubt", "in_doubt", None),
    Row({"unknown"}, ALL - {"submitting"}, CURRENT, BOTH, "unknown, and known better already", SAME, None),
    Row({"unknown"}, ALL, OLDER, BOTH, "unknown, and known better already", SAME, None),
    Row({"gone", "silent"}, ALL, BOTH, BOTH, "not told", SAME, None),
]
CELLS = list(product(EVIDENCE, JOBS, (True, False), (True, False)))


def rows_of(kind: str, phase: str, is_current: bool, is_marked: bool) -> list[Row]:
    return [
        row
        for row in TABLE
        if kind in row.kinds
        and phase in row.phases
        and is_current in row.is_current
        and is_marked in row.is_marked
    ]


def job_in(phase: str, *, is_marked: bool) -> Job:
    return replace(JOBS[phase], cancel_requested_at=T0 if is_marked else None)


def word_for(job: Job) -> str:
    """The phase, or the reason where a failed job has another than the one that it started with."""
    return str(job.reason) if job.phase == Phase.FAILED else str(job.phase)


def assert_sound(before: Job, attempt: Attempt, decision: Decision) -> None:
    """What holds in every cell."""
    if decision.move is not None:
        assert decision.move.before == before
        assert_possible(decision.move.after)
        assert decision.move.after.attempt == before.attempt
    assert decision.attempt is not None
    assert_possible_attempt(decision.attempt)
    assert decision.attempt.number == attempt.number


def test_every_cell_has_one_row() -> None:
    assert [cell for cell in CELLS if len(rows_of(*cell)) != 1] == []


@pytest.mark.parametrize(("kind", "phase", "is_current", "is_marked"), CELLS)
def test_the_table_is_what_happens(kind: str, phase: str, is_current: bool, is_marked: bool) -> None:
    (row,) = rows_of(kind, phase, is_current, is_marked)
    job = job_in(phase, is_marked=is_marked)
    attempt = make_attempt(job, number=2 if is_current else 1)
    decision = decide(job, attempt, EVIDENCE[kind], RULES)
    assert_sound(job, attempt, decision)
    assert decision.note == row.note.replace("*", kind)
    if row.after is SAME:
        assert decision.move is None
    else:
        assert decision.move is not None
        assert word_for(decision.move.after) == row.after
    assert decision.attempt is not None
    assert decision.attempt.outcome == (row.outcome.replace("*", kind) if row.outcome else None)


@pytest.mark.parametrize(("kind", "phase", "is_current"), list(product(EVIDENCE, JOBS, (True, False))))
def test_an_ended_attempt_stays_ended_and_moves_a_job_only_by_success(
    kind: str, phase: str, is_current: bool
) -> None:
    job = job_in(phase, is_marked=False)
    attempt = make_attempt(
        job,
        number=2 if is_current else 1,
        provider_id=TASK,
        ended_at=T0,
        ended_by=Source.POLL,
        outcome="failed",
    )
    decision = decide(job, attempt, EVIDENCE[kind], RULES)
    assert_sound(job, attempt, decision)
    assert decision.attempt is not None
    assert (decision.attempt.ended_at, decision.attempt.outcome) == (T0, "failed")
    is_saved = kind == "completed" and phase not in ("completed", "cancelled")
    assert (decision.move is not None) == is_saved


# What the rows do not show


def settle(phase: Phase, evidence: Evidence, rules: Rules = RULES, **attempt: Any) -> Decision:
    job = make_job(phase)
    return decide(job, make_attempt(job, **attempt), evidence, rules)


def attempt_after(phase: Phase, evidence: Evidence, **attempt: Any) -> Attempt:
    after = settle(phase, evidence, **attempt).attempt
    assert after is not None
    return after


def job_after(decision: Decision) -> Job:
    assert decision.move is not None
    return decision.move.after


def test_an_acceptance_names_the_task_plans_the_first_check_and_sets_the_deadline() -> None:
    decision = settle(Phase.SUBMITTING, EVIDENCE["accepted"])
    assert decision.attempt is not None
    assert (decision.attempt.provider_id, decision.attempt.answered_at) == (TASK, NOW)
    assert decision.attempt.check_at == NOW + 20_000
    assert job_after(decision).due_at == NOW + 15 * 60_000


@pytest.mark.parametrize(("number", "words"), [(1, "1 output"), (2, "2 outputs")])
def test_a_completion_says_how_much_was_brought(number: int, words: str) -> None:
    brought = make_evidence(
        Status.COMPLETED, Source.POLL, provider_id=TASK, result=Result(outputs=["a"] * number)
    )
    move = settle(Phase.ACCEPTED, brought).move
    assert move is not None
    assert move.because == f"poll brought {words}"


def test_without_callbacks_the_first_check_comes_soon() -> None:
    unpushed = replace(RULES, is_pushed=False)
    decision = settle(Phase.SUBMITTING, EVIDENCE["accepted"], unpushed)
    assert decision.attempt is not None
    assert decision.attempt.check_at == NOW + 2_000


def test_polls_of_a_running_task_grow_rarer() -> None:
    running = make_evidence(Status.ACCEPTED, Source.POLL, provider_id=TASK)
    after = attempt_after(Phase.ACCEPTED, running, provider_id=TASK, checks=1)
    assert (after.checks, after.check_at) == (2, NOW + 51_200)


@pytest.mark.parametrize("kind", ["gone", "silent"])
def test_an_answer_that_tells_nothing_is_asked_for_again_later(kind: str) -> None:
    after = attempt_after(Phase.ACCEPTED, EVIDENCE[kind], provider_id=TASK, checks=1)
    assert (after.ended_at, after.checks, after.check_at) == (None, 2, NOW + 51_200)


def test_a_lost_answer_is_looked_for_in_the_history_five_seconds_later() -> None:
    decision = settle(Phase.SUBMITTING, EVIDENCE["unknown"])
    assert decision.attempt is not None
    assert decision.attempt.check_at == NOW + 5_000
    assert decision.move is not None
    assert decision.move.because == "cut"


def test_an_output_is_kept_on_the_job_and_told_by_its_ending() -> None:
    decision = settle(Phase.ACCEPTED, EVIDENCE["completed"])
    assert decision.move is not None
    assert decision.move.ending is not None
    assert decision.move.ending.result == make_result()


def test_a_paid_output_of_a_cancelled_job_is_kept_on_its_attempt() -> None:
    job = make_job(Phase.FAILED, reason=Reason.CANCELLED)
    decision = decide(job, make_attempt(job), EVIDENCE["completed"], RULES)
    assert decision.attempt is not None
    assert decision.attempt.result is not None
    assert msgspec.json.decode(decision.attempt.result, type=Result) == make_result()


@pytest.mark.parametrize("output", ["", {}, 0])
def test_an_empty_text_is_an_output(output: object) -> None:
    evidence = make_evidence(Status.COMPLETED, Source.POLL, result=make_result(output))
    assert settle(Phase.ACCEPTED, evidence).note == "completed"


def test_three_polls_without_an_output_are_believed() -> None:
    job = make_job(Phase.ACCEPTED)
    attempt = make_attempt(job, provider_id=TASK)
    notes, times = [], []
    for _ in range(policy.EMPTY_CHECKS):
        decision = decide(job, attempt, EVIDENCE["empty"], RULES)
        assert decision.attempt is not None
        attempt = decision.attempt
        notes.append(decision.note)
        times.append(attempt.check_at)
    assert notes == ["completed without an output: ask again"] * 2 + ["no output"]
    assert times == [NOW + 20_000, NOW + 20_000, None]
    assert job_after(decision).reason == Reason.NO_OUTPUT


def test_a_callback_without_an_output_is_checked_by_a_poll_at_once_and_never_counted() -> None:
    empty = make_evidence(Status.COMPLETED, Source.CALLBACK, provider_id=TASK, result=Result())
    after = attempt_after(Phase.ACCEPTED, empty, provider_id=TASK, empties=2)
    assert (after.empties, after.check_at, after.ended_at) == (2, NOW + 1_000, None)


def test_a_failed_task_uses_a_try_and_backs_off() -> None:
    after = job_after(settle(Phase.ACCEPTED, EVIDENCE["task failed"]))
    assert (after.tries, after.due_at) == (1, NOW + 2_000)


def test_the_last_try_exhausts_the_job() -> None:
    job = make_job(Phase.ACCEPTED, tries=policy.MAX_TRIES - 1)
    after = job_after(decide(job, make_attempt(job), EVIDENCE["task failed"], RULES))
    assert after.reason == Reason.EXHAUSTED


@pytest.mark.parametrize(("kind", "pause_s"), [("unavailable", 30), ("throttled", 30), ("account", 1_800)])
def test_a_refusal_uses_no_try_however_often_it_comes(kind: str, pause_s: int) -> None:
    job = make_job(Phase.SUBMITTING, attempt=50, tries=4)
    after = job_after(decide(job, make_attempt(job), EVIDENCE[kind], RULES))
    assert (after.phase, after.tries, after.due_at) == (Phase.WAITING, 4, NOW + 1_000 * pause_s)


def test_a_refusal_without_a_reason_has_the_account_asked_and_uses_a_try() -> None:
    first = settle(Phase.SUBMITTING, EVIDENCE["unclear"])
    assert (job_after(first).phase, job_after(first).tries) == (Phase.WAITING, 1)
    assert [signal.kind for signal in first.signals] == [Signal.ACCOUNT_UNSURE]
    tried = make_job(Phase.SUBMITTING, tries=policy.MAX_TRIES - 1)
    last = decide(tried, make_attempt(tried), EVIDENCE["unclear"], RULES)
    assert job_after(last).reason == Reason.EXHAUSTED


def test_a_refusal_of_what_a_callback_has_shown_to_exist_ends_nothing() -> None:
    """A gateway may answer 429 or 503 although the task behind it was made."""
    decision = settle(Phase.ACCEPTED, EVIDENCE["throttled"], provider_id=TASK, check_at=NOW)
    assert decision.move is None
    assert decision.attempt is not None
    assert (decision.attempt.ended_at, decision.attempt.check_at) == (None, NOW)
    assert decision.signals[0].kind == Signal.THROTTLED


# Ids


def test_evidence_of_another_task_is_not_believed_but_ours_is_asked_for_now() -> None:
    strange = make_evidence(Status.COMPLETED, Source.CALLBACK, provider_id="task-2")
    decision = settle(Phase.ACCEPTED, strange, provider_id=TASK)
    assert decision.move is None
    assert decision.attempt is not None
    assert (decision.attempt.provider_id, decision.attempt.check_at) == (TASK, NOW)


def test_evidence_of_another_task_does_not_wake_an_ended_attempt() -> None:
    strange = make_evidence(Status.COMPLETED, Source.CALLBACK, provider_id="task-2")
    after = attempt_after(
        Phase.ACCEPTED, strange, provider_id=TASK, ended_at=T0, ended_by=Source.POLL, outcome="failed"
    )
    assert (after.provider_id, after.check_at) == (TASK, None)


def test_a_task_found_in_the_history_is_adopted() -> None:
    found = make_evidence(Status.ACCEPTED, Source.HISTORY, provider_id=TASK)
    decision = settle(Phase.IN_DOUBT, found)
    assert decision.attempt is not None
    assert decision.attempt.is_adopted
    assert job_after(decision).phase == Phase.ACCEPTED


def test_a_task_that_a_poll_brings_to_an_attempt_without_one_is_adopted() -> None:
    told = make_evidence(Status.ACCEPTED, Source.POLL, provider_id=TASK)
    assert attempt_after(Phase.IN_DOUBT, told).is_adopted
    assert not attempt_after(Phase.ACCEPTED, told, provider_id=TASK).is_adopted


def test_the_history_does_not_turn_our_own_task_into_an_adopted_one() -> None:
    found = make_evidence(Status.ACCEPTED, Source.HISTORY, provider_id=TASK)
    assert not attempt_after(Phase.ACCEPTED, found, provider_id=TASK).is_adopted


@pytest.mark.parametrize("source", [Source.CALLBACK, Source.ANSWER])
@pytest.mark.parametrize("named", [TASK, "task-2"])
def test_who_speaks_of_the_attempt_itself_outranks_an_adoption(source: Source, named: str) -> None:
    told = make_evidence(Status.ACCEPTED, source, provider_id=named)
    after = attempt_after(Phase.ACCEPTED, told, provider_id=TASK, is_adopted=True)
    assert (after.provider_id, after.is_adopted) == (named, False)


def test_a_poll_of_an_adopted_task_leaves_it_adopted() -> None:
    told = make_evidence(Status.ACCEPTED, Source.POLL, provider_id=TASK)
    assert attempt_after(Phase.ACCEPTED, told, provider_id=TASK, is_adopted=True).is_adopted


def test_the_first_answer_is_timed_and_the_last_words_of_trouble_are_kept() -> None:
    told = replace(EVIDENCE["unknown"], excerpt="new")
    after = attempt_after(Phase.SUBMITTING, told, answered_at=5, excerpt="old")
    assert (after.answered_at, after.excerpt) == (5, "new")
    fine = replace(EVIDENCE["accepted"], excerpt="all is well")
    assert attempt_after(Phase.SUBMITTING, fine, excerpt="old").excerpt == "old"


# What is said of the lane


@pytest.mark.parametrize(
    ("kind", "signal"),
    [
        ("accepted", LaneSignal(Signal.HEALTHY)),
        ("rejected", LaneSignal(Signal.HEALTHY)),
        ("unavailable", LaneSignal(Signal.FAILING, "it broke")),
        ("account", LaneSignal(Signal.ACCOUNT, "it broke")),
        ("throttled", LaneSignal(Signal.THROTTLED, "it broke", 3.5)),
        ("completed", LaneSignal(Signal.CALLED_BACK)),
        ("task failed", LaneSignal(Signal.FOUND_BY_POLL)),
        ("unknown", LaneSignal(Signal.FAILING)),
    ],
)
def test_an_answer_says_something_of_its_lane(kind: str, signal: LaneSignal) -> None:
    assert settle(Phase.SUBMITTING, EVIDENCE[kind]).signals == (signal,)


def test_a_lost_answer_tells_its_lane_the_status_and_what_was_said() -> None:
    error = Error(ErrorKind.LOST, "it broke", http_status=502)
    lost = replace(EVIDENCE["unknown"], error=error, excerpt="<html>Bad Gateway")
    (signal,) = settle(Phase.SUBMITTING, lost).signals
    assert signal == LaneSignal(Signal.FAILING, "HTTP 502: <html>Bad Gateway")


@pytest.mark.parametrize("kind", ["gone", "silent", "empty"])
def test_what_tells_nothing_says_nothing_of_the_lane(kind: str) -> None:
    assert settle(Phase.ACCEPTED, EVIDENCE[kind]).signals == ()


def test_a_429_pauses_as_long_as_it_says() -> None:
    error = Error(ErrorKind.THROTTLED, "slow down", retry_after_s=42)
    refused = make_evidence(Status.REFUSED, error=error)
    assert settle(Phase.SUBMITTING, refused).signals[0].pause_s == 42


def test_a_late_callback_of_an_ended_attempt_still_shows_that_callbacks_arrive() -> None:
    decision = settle(
        Phase.COMPLETED,
        EVIDENCE["completed"],
        provider_id=TASK,
        ended_at=T0,
        ended_by=Source.POLL,
        outcome="completed",
    )
    assert decision.signals == (LaneSignal(Signal.CALLED_BACK),)


def test_a_task_that_ended_in_its_own_answer_says_nothing_of_callbacks() -> None:
    done = make_evidence(Status.COMPLETED, Source.ANSWER, provider_id=TASK)
    assert settle(Phase.SUBMITTING, done).signals == (LaneSignal(Signal.HEALTHY),)
