"""Marks a job whose client went away before its answer began, so that the same request may join it."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.decision import Decision
from orchestrator.job import Attempt, Job
from orchestrator.runtime import Runtime


async def mark_unanswered(runtime: Runtime, job_id: str, request_hash: str) -> None:
    """Never for a job with a webhook: its client hears of it all the same."""

    def decide(job: Job, _attempt: Attempt | None) -> Decision:
        if job.webhook is not None:
            return Decision(note="told by webhook")
        marked = replace(job, answer_lost_at=runtime.clock.now(), request_hash=request_hash)
        return Decision(note="unanswered", job=marked)

    await runtime.store.change(job_id, decide, source="client")
    runtime.log.info("answer.lost", job=job_id)
