"""Applies one piece of evidence, whoever brought it: the answer, a callback, a poll or the history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from msgspec.structs import replace

from orchestrator.decision import Applied, Audited, Decision
from orchestrator.errors import Busy
from orchestrator.evidence import Evidence
from orchestrator.flow.attempts import OF_THE_ATTEMPT, Rules
from orchestrator.flow.settlement import decide, give_up_task
from orchestrator.job import Attempt, Job
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store import checks
from orchestrator.store.changes import Seen
from orchestrator.store.idempotency import Once
from orchestrator.store.trouble import RowRefused


async def settle(
    runtime: Runtime,
    job_id: str,
    attempt: int,
    evidence: Evidence,
    *,
    sent_at: int | None = None,
    callback: Seen | None = None,
    asked: Attempt | None = None,
    audited: Audited | None = None,
    once: Once | None = None,
) -> Applied | None:
    """Apply one piece of evidence; None when there is no such job, or when the task that a poll or the
    history speaks of is another attempt's. Busy when it was not stored; RowRefused when the tables do not
    take it, such as an answer or a callback that names another attempt's task.

    `asked` is the attempt as it was when the provider was asked: what counts questions counts each once,
    also when it has to be applied again after a COMMIT that was lost. `audited` is written if the job moves,
    and `once` is the order of a person to apply it, which raises Used the second time.
    """

    def decided(job: Job, row: Attempt | None) -> Decision:
        if row is None:
            return Decision(note="no such attempt")
        known = row if row.sent_at or sent_at is None else replace(row, sent_at=sent_at)
        empties = None if asked is None else asked.empties
        rules = Rules(runtime.clock.now(), runtime.is_pushed(job.lane_id), empties=empties)
        decision = decide(job, known, evidence, rules)
        news = tuple(signal for signal in decision.signals if runtime.is_news(job.lane_id, signal.kind))
        return replace(decision, signals=news, audited=audited if decision.move else None)

    def change() -> Awaitable[Applied | None]:
        return runtime.store.change(
            job_id, decided, source=evidence.source, attempt=attempt, callback=callback, once=once
        )

    try:
        applied = await change()
    except RowRefused:
        holder = await _holder_of(runtime, evidence)
        if holder is None:
            raise
        if evidence.source not in OF_THE_ATTEMPT:
            runtime.log.info("task.taken", job=job_id, attempt=attempt, holder=holder.job_id)
            return None
        if not holder.is_adopted:
            raise
        await _take_from_adopter(runtime, holder, evidence)
        applied = await change()
    if applied is not None:
        runtime.announce(applied)
    return applied


async def settle_surely(
    runtime: Runtime, job_id: str, attempt: int, evidence: Evidence, *, sent_at: int | None = None
) -> None:
    """For an answer that nobody will repeat: try until the database takes it."""
    pause_s = 0.5
    while True:
        try:
            await settle(runtime, job_id, attempt, evidence, sent_at=sent_at)
        except Busy:
            runtime.log.warning(
                "answer.waits", job=job_id, attempt=attempt, because="the database is in trouble"
            )
            await asyncio.sleep(pause_s)
            pause_s = min(5.0, pause_s * 2)
        else:
            return


async def _holder_of(runtime: Runtime, evidence: Evidence) -> Attempt | None:
    """The attempt that has the task which this evidence names."""
    if evidence.provider_id is None:
        return None
    return await runtime.store.read(checks.holder_of, account_id=ACCOUNT, provider_id=evidence.provider_id)


async def _take_from_adopter(runtime: Runtime, holder: Attempt, evidence: Evidence) -> None:
    """The task that this evidence names was only adopted by another attempt: that one must let go."""

    def let_go(job: Job, attempt: Attempt | None) -> Decision:
        if attempt is None or not attempt.is_adopted:
            return Decision(note="let go already")
        return give_up_task(job, attempt, Rules(runtime.clock.now()))

    await runtime.store.change(holder.job_id, let_go, source=evidence.source, attempt=holder.number)
