"""Takes what the provider says of an attempt, and believes it only when it is signed and fresh."""

from __future__ import annotations

from enum import Enum

from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.crash import crashpoint
from orchestrator.decision import Decision
from orchestrator.evidence import Evidence, Source, Status
from orchestrator.flow import poll
from orchestrator.flow.settle import Rules, look_up_later, settle
from orchestrator.lifecycle import Attempt, Job, Phase
from orchestrator.providers.base import TaskRef
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.signing import Verdict
from orchestrator.store import checks
from orchestrator.store.changes import Seen
from orchestrator.store.database import RowRefused


class Taken(Enum):
    """What became of a callback."""

    BELIEVED = "believed"
    POLLED = "polled"
    UNKNOWN = "unknown"
    """There is no such job or attempt (any more)."""


async def take(
    runtime: Runtime, *, job_id: str, attempt: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> Taken:
    """The token in the URL has been checked. Stored when this returns; Busy when it was not."""
    verdict = await runtime.provider.verify(headers, body, now=runtime.clock.now())
    evidence = runtime.provider.parse_callback(body)
    seen = Seen(verdict.value, body[:500].decode(errors="replace").replace("\0", "�"))
    if verdict is not Verdict.VALID or evidence is None:
        named = evidence.provider_id if evidence else None
        return await _doubt(runtime, job_id, attempt, seen=seen, named=named)
    try:
        applied = await settle(runtime, job_id, attempt, evidence, callback=seen)
    except RowRefused:
        await _take_from_adopter(runtime, evidence)
        applied = await settle(runtime, job_id, attempt, evidence, callback=seen)
    crashpoint("callback_applied")
    if applied is None or applied.note == "no such attempt":
        return Taken.UNKNOWN
    return Taken.BELIEVED


async def _doubt(runtime: Runtime, job_id: str, attempt: int, *, seen: Seen, named: str | None) -> Taken:
    """A callback that proves nothing is a hint: the provider is asked at once, and its word counts.

    The id that it names is taken only to ask about it, and only while the attempt has none.
    """
    unknown: list[TaskRef] = []

    def recorded(job: Job, row: Attempt | None) -> Decision:
        if row is not None and row.provider_id is None and row.ended_at is None and named:
            unknown.append(TaskRef(provider_id=named, model=job.model, api_version=job.api_version))
        return Decision(note="not believed")

    applied = await runtime.store.change(
        job_id, recorded, source=Source.CALLBACK, attempt=attempt, callback=seen
    )
    if applied is None:
        return Taken.UNKNOWN
    if unknown:
        evidence = await runtime.provider.poll(unknown[0])
        if evidence.status not in (Status.GONE, Status.SILENT):
            await settle(runtime, job_id, attempt, evidence)
    else:
        await poll.check_now(runtime, job_id, attempt)
    return Taken.POLLED


async def _take_from_adopter(runtime: Runtime, evidence: Evidence) -> None:
    """The task that this callback names was adopted by another attempt from the history: it must let go."""
    if evidence.provider_id is None:
        return
    holder = await runtime.store.read(checks.holder_of, account_id=ACCOUNT, provider_id=evidence.provider_id)
    if holder is None or not holder.is_adopted:
        return

    def let_go(job: Job, attempt: Attempt | None) -> Decision:
        if attempt is None or not attempt.is_adopted:
            return Decision(note="let go already")
        return _released(job, attempt, Rules(runtime.clock.now()))

    await runtime.store.change(holder.job_id, let_go, source=Source.CALLBACK, attempt=holder.number)


def _released(job: Job, attempt: Attempt, rules: Rules) -> Decision:
    bare = look_up_later(_without_task(attempt), rules)
    if job.phase != Phase.ACCEPTED or job.attempt != attempt.number:
        return Decision(note="let go", attempt=bare)
    return Decision(
        note="let go",
        move=lifecycle.unadopt(job, "a callback names this task for another job"),
        attempt=bare,
    )


def _without_task(attempt: Attempt) -> Attempt:
    return replace(
        attempt,
        provider_id=None,
        is_adopted=False,
        checks=0,
        empties=0,
        ended_at=None,
        ended_by=None,
        outcome=None,
    )
