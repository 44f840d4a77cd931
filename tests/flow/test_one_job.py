"""One job driven through anything that can happen to it, in any order, by its pure decisions alone.

Hypothesis looks for a history that breaks an invariant, and cuts it down to its shortest form.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from orchestrator import lifecycle, policy
from orchestrator.decision import Decision
from orchestrator.evidence import Error, ErrorKind, Evidence, Result, Source, Status
from orchestrator.flow import callback, cancel, redrive, resolve, settle, submit, sweep
from orchestrator.flow.settle import Rules
from orchestrator.lifecycle import Attempt, Job, Phase, Reason, Verb
from tests.factories import T0, make_attempt, make_job, make_result
from tests.jobs import assert_possible, assert_possible_attempt

ORDER = {"created": 0, "processing": 1, "failed": 2, "completed": 3}
DRAWS = st.sampled_from([0.0, 0.5, 0.999])
PAUSES_MS = st.sampled_from([1, 500, 5_000, 30_000, 600_000, 4_000_000])
REFUSALS = (ErrorKind.UNAVAILABLE, ErrorKind.THROTTLED, ErrorKind.ACCOUNT, ErrorKind.REJECTED)


class OneJob(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.job = make_job()
        self.attempts: dict[int, Attempt] = {}
        self.was_cancelled_at_attempt: int | None = None

    # What happens

    @rule(by_ms=PAUSES_MS)
    def time_passes(self, by_ms: int) -> None:
        self.now += by_ms

    @precondition(lambda self: self.job.phase == Phase.READY)
    @rule()
    def a_worker_claims_it(self) -> None:
        move = lifecycle.claim(self.job, owner="w", now=self.now, lease_ms=policy.LEASE_MS)
        is_solo = self.job.lost_leases >= policy.SOLO_AFTER_LOST_LEASES
        opened = make_attempt(move.after, claimed_at=self.now, is_solo=is_solo)
        self.attempts[opened.number] = opened
        self.apply(Decision(note="claimed", move=move))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), draw=DRAWS, is_pushed=st.booleans())
    def somebody_tells_of_an_attempt(self, data: st.DataObject, draw: float, is_pushed: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.attempts)))
        evidence = data.draw(evidence_of(number))
        attempt = self.attempts[number]
        rules = Rules(self.now, is_pushed, lambda: draw)
        self.apply(settle.decide(self.job, attempt, evidence, rules), number)
        is_its_own = attempt.provider_id in (None, evidence.provider_id)
        if evidence.status == Status.COMPLETED and evidence.result and evidence.result.outputs and is_its_own:
            assert self.job.phase == Phase.COMPLETED or self.job.reason == Reason.CANCELLED

    @precondition(lambda self: self.job.due_at is not None)
    @rule(draw=DRAWS)
    def its_timer_runs_out(self, draw: float) -> None:
        self.now = max(self.now, self.job.due_at or 0)
        self.apply(sweep.decide(self.job, self.newest(), Rules(self.now, draw=lambda: draw)))
        assert self.job.due_at is None or self.job.due_at > self.now

    @precondition(lambda self: self.job.phase == Phase.SUBMITTING)
    @rule()
    def its_worker_gives_it_back(self) -> None:
        attempt = self.newest()
        assert attempt is not None
        self.apply(submit._given_back(self.job, attempt, "not sent", self.now))

    @rule()
    def its_user_cancels_it(self) -> None:
        self.apply(cancel.decide(self.job, self.newest(), self.now))

    @rule()
    def its_user_redrives_it(self) -> None:
        self.apply(redrive.decide(self.job, self.newest(), "key-1"))

    @precondition(lambda self: self.job.phase == Phase.IN_DOUBT)
    @rule(found=st.integers(0, 2), may_resubmit=st.booleans(), is_readable=st.booleans(), draw=DRAWS)
    def the_history_is_looked_into(
        self, found: int, may_resubmit: bool, is_readable: bool, draw: float
    ) -> None:
        attempt = self.newest()
        assert attempt is not None
        rules = Rules(self.now, draw=lambda: draw)
        if is_readable:
            decision = resolve._looked(self.job, attempt, rules, found=found, may_resubmit=may_resubmit)
        else:
            decision = resolve._unreadable(self.job, attempt, rules)
        self.apply(decision)

    @precondition(lambda self: any(attempt.is_adopted for attempt in self.attempts.values()))
    @rule()
    def a_callback_names_its_adopted_task_for_another_job(self) -> None:
        adopted = next(attempt for attempt in self.attempts.values() if attempt.is_adopted)
        decision = callback._released(self.job, adopted, Rules(self.now))
        self.apply(decision, adopted.number, may_reopen=True)

    # What must hold of every step

    def apply(self, decision: Decision, number: int | None = None, *, may_reopen: bool = False) -> None:
        before, number = self.job, self.job.attempt if number is None else number
        if decision.attempt is not None:
            known = self.attempts[number]
            assert decision.attempt.number == number
            assert known.ended_at in (None, decision.attempt.ended_at) or may_reopen
            self.attempts[number] = decision.attempt
        if decision.move is not None:
            assert decision.move.before == before
            assert decision.job is None
        self.job = decision.move.after if decision.move else decision.job or before
        self.check_step(before, decision.move.verb if decision.move else None)

    def check_step(self, before: Job, verb: Verb | None) -> None:
        after = self.job
        assert after.attempt - before.attempt == (1 if verb == Verb.CLAIM else 0)
        if before.phase == Phase.COMPLETED:
            assert after == before
        if before.reason == Reason.CANCELLED:
            assert after == before or verb == Verb.REDRIVE
        if verb != Verb.REDRIVE:
            assert ORDER[after.public_state] >= ORDER[before.public_state]
            assert after.tries >= before.tries
        assert after.ending - before.ending == (1 if verb in (Verb.COMPLETE, Verb.FAIL) else 0)
        assert (verb is None) == (after.phase == before.phase)

    @invariant()
    def every_row_is_possible(self) -> None:
        assert_possible(self.job)
        for attempt in self.attempts.values():
            assert_possible_attempt(attempt)

    @invariant()
    def somebody_will_move_it_on(self) -> None:
        """In doubt and accepted wait for a check of their open attempt (or, both, for their deadline)."""
        attempt = self.newest()
        if self.job.phase in (Phase.IN_DOUBT, Phase.ACCEPTED):
            assert attempt is not None
            assert attempt.ended_at is None
            assert attempt.check_at is not None
        if self.job.phase == Phase.ACCEPTED:
            assert attempt is not None
            assert attempt.provider_id is not None

    @invariant()
    def an_open_attempt_frees_its_slot_some_day(self) -> None:
        for attempt in self.attempts.values():
            is_being_sent = attempt.number == self.job.attempt and self.job.phase == Phase.SUBMITTING
            assert attempt.ended_at or attempt.check_at or is_being_sent

    def newest(self) -> Attempt | None:
        return self.attempts.get(self.job.attempt)


def evidence_of(number: int) -> st.SearchStrategy[Evidence]:
    """Anything that anybody can say of this attempt's task."""
    named = f"task-{number}"
    error = st.sampled_from([ErrorKind.TASK_FAILED, ErrorKind.REJECTED]).map(lambda kind: Error(kind, "no"))
    refusal = st.sampled_from(REFUSALS).map(lambda kind: Error(kind, "no"))
    tellers = st.sampled_from([Source.ANSWER, Source.CALLBACK, Source.POLL, Source.HISTORY])
    of_a_task = st.one_of(
        st.builds(Evidence, source=tellers, status=st.just(Status.ACCEPTED), provider_id=st.just(named)),
        st.builds(
            Evidence,
            source=tellers,
            status=st.just(Status.COMPLETED),
            provider_id=st.just(named),
            result=st.sampled_from([make_result(), make_result(""), Result(), None]),
        ),
        st.builds(
            Evidence,
            source=tellers,
            status=st.just(Status.FAILED),
            provider_id=st.just(named),
            error=error,
        ),
    )
    of_another = of_a_task.filter(lambda one: one.status != Status.COMPLETED).map(
        lambda one: replace(one, provider_id="task-x")
    )
    of_no_task = st.one_of(
        st.builds(Evidence, source=st.just(Source.ANSWER), status=st.just(Status.REFUSED), error=refusal),
        st.builds(Evidence, source=st.just(Source.ANSWER), status=st.just(Status.UNKNOWN)),
        st.builds(
            Evidence, source=st.just(Source.POLL), status=st.sampled_from([Status.GONE, Status.SILENT])
        ),
    )
    return st.one_of(of_a_task, of_another, of_no_task)


TestOneJob = OneJob.TestCase
TestOneJob.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
