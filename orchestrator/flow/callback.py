"""Takes what the provider says of an attempt, and believes it only when it is signed and fresh."""

from __future__ import annotations

from enum import Enum

from orchestrator.crash import crashpoint
from orchestrator.decision import Decision
from orchestrator.evidence import Evidence, Source, Status
from orchestrator.flow import poll, questions
from orchestrator.flow.settle import settle
from orchestrator.job import Attempt, Job
from orchestrator.providers.base import TaskRef
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.signing import Verdict
from orchestrator.store import checks
from orchestrator.store.changes import Seen
from orchestrator.store.trouble import RowRefused


class Taken(Enum):
    """What became of a callback."""

    BELIEVED = "believed"
    POLLED = "polled"
    IGNORED = "ignored"
    """It names a task that cannot be this attempt's, or that nobody may ask about now: it stands in the
    inbox, and nothing else has changed.
    """
    UNKNOWN = "unknown"
    """There is no such job or attempt (any more)."""


async def take(
    runtime: Runtime, *, job_id: str, attempt: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> Taken:
    """The token in the URL has been checked. Stored when this returns; Busy when it was not."""
    verdict = await runtime.provider.verify(headers, body, now=runtime.clock.now())
    evidence = runtime.provider.parse_callback(body)
    is_believed = verdict is Verdict.VALID and evidence is not None
    words = "" if is_believed else body[:500].decode(errors="replace").replace("\0", "�")
    seen = Seen(verdict.value, words)
    if verdict is not Verdict.VALID or evidence is None:
        runtime.meters.count(f"callback_{verdict.value if evidence else 'unreadable'}")
        named = evidence.provider_id if evidence else None
        return await _doubt(runtime, job_id, attempt, seen=seen, named=named)
    return await _believe(runtime, job_id, attempt, seen=seen, evidence=evidence)


async def _believe(runtime: Runtime, job_id: str, attempt: int, *, seen: Seen, evidence: Evidence) -> Taken:
    try:
        applied = await settle(runtime, job_id, attempt, evidence, callback=seen)
    except RowRefused as refusal:
        runtime.log.warning("callback.refused", job=job_id, attempt=attempt, because=str(refusal))
        return await _record(runtime, job_id, attempt, seen=seen)
    crashpoint("callback_applied")
    if applied is None or applied.note == "no such attempt":
        runtime.meters.count("callback_unknown")
        return Taken.UNKNOWN
    runtime.meters.count(
        "callback_applied" if applied.move else "callback_late",
        lane_id=applied.job.lane_id,
        tenant_id=applied.job.tenant_id,
    )
    return Taken.BELIEVED


async def _record(runtime: Runtime, job_id: str, attempt: int, *, seen: Seen) -> Taken:
    """Signed, but about the task of another attempt: a provider's mistake, which no repetition mends."""

    def recorded(_job: Job, _row: Attempt | None) -> Decision:
        return Decision(note="another attempt's task")

    applied = await runtime.store.change(
        job_id, recorded, source=Source.CALLBACK, attempt=attempt, callback=seen
    )
    return Taken.UNKNOWN if applied is None else Taken.IGNORED


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
        return await _ask_about(runtime, job_id, attempt, unknown[-1])
    await poll.check_now(runtime, job_id, attempt)
    return Taken.POLLED


async def _ask_about(runtime: Runtime, job_id: str, attempt: int, task: TaskRef) -> Taken:
    """Whoever knows the URL could name any task of the account: one of another job's is not taken."""
    holder = await runtime.store.read(checks.holder_of, account_id=ACCOUNT, provider_id=task.provider_id)
    if holder is not None or not await questions.may_ask(runtime):
        return Taken.IGNORED
    evidence = await poll.put_question(runtime, task)
    if evidence.status in (Status.GONE, Status.SILENT):
        return Taken.POLLED
    if evidence.model not in (None, task.model):
        runtime.log.warning("callback.other_model", job=job_id, attempt=attempt, model=evidence.model)
        return Taken.IGNORED
    await settle(runtime, job_id, attempt, evidence)
    return Taken.POLLED
