"""Asks the provider about attempts whose time has come: the guarantee behind the callbacks."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator import policy
from orchestrator.bell import Kind
from orchestrator.crash import crashpoint
from orchestrator.decision import Audited, Decision
from orchestrator.evidence import Evidence, Source
from orchestrator.flow import questions, resolve
from orchestrator.flow.settle import settle
from orchestrator.job import Attempt, Job, Phase
from orchestrator.providers.base import TaskRef
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store import checks
from orchestrator.store.checks import Check

_WAITED_FOR = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED})


async def take_due(runtime: Runtime, *, slots: int) -> list[Check]:
    """At most `slots` attempts to ask about now, within the account's budget of polls."""
    return await runtime.store.write(
        checks.take_due_checks, account_id=ACCOUNT, now=runtime.clock.now(), most=slots
    )


async def check_now(
    runtime: Runtime, job_id: str, attempt: int | None = None, *, audited: Audited | None = None
) -> None:
    """Make an attempt due at once, for a callback that proves nothing or a user who asks."""

    def decide(job: Job, row: Attempt | None) -> Decision:
        return replace(to_be_asked(job, row), audited=audited)

    def to_be_asked(_job: Job, row: Attempt | None) -> Decision:
        if row is None or row.ended_at is not None:
            return Decision(note="nothing to ask about")
        if row.provider_id is None or row.empties:
            # Three looks decide that there is no task, or no output: whoever asks must not set their pace.
            return Decision(note="looked for at its own pace")
        return Decision(note="to be asked about now", attempt=replace(row, check_at=runtime.clock.now()))

    await runtime.store.change(job_id, decide, source=Source.WORKER, attempt=attempt)
    runtime.bell.ring(Kind.POLL)


async def ask(runtime: Runtime, check: Check) -> None:
    """Ask the provider about one attempt, and settle what it says."""
    job, attempt = check.job, check.attempt
    if _is_abandoned(job, attempt, runtime.clock.now()):
        await _abandon(runtime, check)
    elif attempt.provider_id is None:
        await resolve.resolve(runtime, check)
    else:
        task = TaskRef(provider_id=attempt.provider_id, model=job.model, api_version=job.api_version)
        evidence = await put_question(runtime, task)
        crashpoint("polled_before_commit")
        await settle(runtime, job.id, attempt.number, evidence, asked=attempt)


async def put_question(runtime: Runtime, task: TaskRef) -> Evidence:
    """What the provider says of the task; a 429 stops all polls of the account for a while."""
    evidence = await runtime.provider.poll(task)
    await questions.heed(runtime, evidence.error)
    return evidence


def _is_abandoned(job: Job, attempt: Attempt, now: int) -> bool:
    """No task runs that long: its slot is free again, whatever the provider says."""
    longest_ms = int(1_000 * policy.PACES[job.media].abandoned_s)
    is_waited_for = attempt.number == job.attempt and job.phase in _WAITED_FOR
    return not is_waited_for and now - attempt.claimed_at > longest_ms


async def _abandon(runtime: Runtime, check: Check) -> None:
    def decide(_job: Job, row: Attempt | None) -> Decision:
        if row is None or row.ended_at is not None:
            return Decision(note="ended meanwhile")
        ended = replace(
            row,
            ended_at=runtime.clock.now(),
            ended_by=Source.WORKER,
            outcome="abandoned",
            check_at=None,
        )
        return Decision(note="abandoned", attempt=ended)

    await runtime.store.change(check.job.id, decide, source=Source.WORKER, attempt=check.attempt.number)
