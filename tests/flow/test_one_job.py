"""One job driven through anything that can happen to it, in any order, by its pure decisions alone.

Hypothesis looks for a history that breaks an invariant, and cuts it down to its shortest form.
"""

from __future__ import annotations

from itertools import product

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from orchestrator import lifecycle, policy
from orchestrator.decision import Decision
from orchestrator.evidence import ErrorKind, Evidence, Result, Source, Status
from orchestrator.flow import cancel, redrive, resolve, settlement, submit, sweep
from orchestrator.flow.attempts import Rules
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.lifecycle import Verb
from tests.factories import T0, make_attempt, make_error, make_evidence, make_job, make_result
from tests.jobs import assert_possible, assert_possible_attempt

ORDER = {"created": 0, "processing": 1, "failed": 2, "completed": 3}
DRAWS = st.sampled_from([0.0, 0.5, 0.999])
PAUSES_MS = st.sampled_from([1, 500, 5_000, 30_000, 600_000, 4_000_000])
# A job that was never claimed ends here and teaches nothing: it is left out for the sake of the others.
CANCELLABLE = (Phase.HELD, Phase.WAITING, Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED)
REFUSALS = (
    ErrorKind.UNAVAILABLE,
    ErrorKind.THROTTLED,
    ErrorKind.ACCOUNT,
    ErrorKind.UNCLEAR,
    ErrorKind.REJECTED,
)


class OneJob(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.job = make_job()
        self.attempts: dict[int, Attempt] = {}

    @initialize(tries=st.integers(0, policy.MAX_TRIES - 1), lost_leases=st.integers(0, 2))
    def it_has_a_past(self, tries: int, lost_leases: int) -> None:
        self.job = make_job(tries=tries, lost_leases=lost_leases)

    # What happens

    @rule(by_ms=PAUSES_MS)
    def time_passes(self, by_ms: int) -> None:
        self.now += by_ms

    @precondition(lambda self: self.job.phase == Phase.READY)
    @rule()
    def a_worker_claims_it(self) -> None:
        move = lifecycle.claim(self.job, owner="w", now=self.now, lease_ms=policy.LEASE_MS)
        is_solo = self.job.lost_leases >= policy.SOLO_AFTER_LOST_LEASES
        check_at = self.now + policy.LEASE_MS + 60_000
        opened = make_attempt(move.after, claimed_at=self.now, is_solo=is_solo, check_at=check_at)
        self.attempts[opened.number] = opened
        self.apply(Decision(note="claimed", move=move))

    @precondition(lambda self: self.attempts and not self.job.is_ended)
    @rule(data=st.data(), draw=DRAWS)
    def somebody_tells_of_the_newest_attempt(self, data: st.DataObject, draw: float) -> None:
        self.be_told(self.job.attempt, data, Rules(self.now, draw=lambda: draw))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), draw=DRAWS, is_pushed=st.booleans())
    def somebody_tells_of_any_attempt(self, data: st.DataObject, draw: float, is_pushed: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.attempts)))
        self.be_told(number, data, Rules(self.now, is_pushed, lambda: draw))

    def be_told(self, number: int, data: st.DataObject, rules: Rules) -> None:
        evidence = data.draw(st.sampled_from(everything_said_of(number)))
        attempt = self.attempts[number]
        self.apply(settlement.decide(self.job, attempt, evidence, rules), number)
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

    @precondition(lambda self: self.job.phase in CANCELLABLE and self.job.cancel_requested_at is None)
    @rule()
    def its_user_cancels_it(self) -> None:
        self.apply(cancel.decide(self.job, self.newest(), self.now))

    @precondition(lambda self: self.job.phase in (Phase.FAILED, Phase.HELD))
    @rule()
    def its_user_redrives_it(self) -> None:
        self.apply(redrive.decide(self.job, self.newest(), actor="key-1", now=self.now))

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
        decision = settlement.give_up_task(self.job, adopted, Rules(self.now))
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
        assert after.tries < policy.MAX_TRIES
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
            assert (attempt.ended_at is None) == (attempt.check_at is not None)

    def newest(self) -> Attempt | None:
        return self.attempts.get(self.job.attempt)


def everything_said_of(number: int) -> list[Evidence]:
    """All that anybody can say of this attempt's task, and of another's under its name."""
    tellers = (Source.ANSWER, Source.CALLBACK, Source.POLL, Source.HISTORY)
    named, errors = f"task-{number}", (ErrorKind.TASK_FAILED, ErrorKind.REJECTED)
    results = (make_result(), make_result(""), Result())
    running = [make_evidence(Status.ACCEPTED, teller, provider_id=named) for teller in tellers]
    failed = [
        make_evidence(Status.FAILED, teller, provider_id=named, error=make_error(kind))
        for teller, kind in product(tellers, errors)
    ]
    done = [
        make_evidence(Status.COMPLETED, teller, provider_id=named, result=result)
        for teller, result in product(tellers, results)
    ]
    refused = [make_evidence(Status.REFUSED, error=make_error(kind)) for kind in REFUSALS]
    unclear = [make_evidence(Status.UNKNOWN, teller) for teller in (Source.ANSWER, Source.WORKER)]
    silent = [make_evidence(status, Source.POLL) for status in (Status.GONE, Status.SILENT)]
    others = [replace(evidence, provider_id="task-x") for evidence in [*running, *failed]]
    return [*running, *failed, *done, *refused, *unclear, *silent, *others]


TestOneJob = OneJob.TestCase
TestOneJob.settings = settings(
    max_examples=300,
    stateful_step_count=30,
)
