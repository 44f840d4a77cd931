"""Whether the lines that come again are those that an earlier upload with the same key has stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import Conflict
from orchestrator.job import Job
from orchestrator.store.batch_lines import Stored


def check_same(came: Mapping[int, Job | None], stored: Stored, *, until: int) -> None:
    """Raises Conflict unless, up to this line, those that are stored came again; None is a bad line."""
    again = {line: _meaning(job) for line, job in came.items() if line <= until}
    known = {line: _meaning(job) for line, job in stored.jobs.items()} | dict.fromkeys(stored.rejected)
    if again != known:
        line = min(line for line, _ in again.items() ^ known.items())
        raise Conflict(f"Idempotency-Key: line {line} is not the one that was sent with this key before.")


def _meaning(job: Job | None) -> tuple[Any, ...] | None:
    """What must be the same when a line is sent again."""
    if job is None:
        return None
    return (
        job.custom_id,
        job.input_hash,
        job.webhook,
        job.priority,
        job.not_before,
        job.start_by,
        job.finish_by,
    )
