"""Whether the lines that come again are those that an earlier upload with the same key has stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.errors import Conflict
from orchestrator.flow.create import input_hash
from orchestrator.job import Job
from orchestrator.runtime import Runtime
from orchestrator.store import rows
from orchestrator.store.batch_lines import Stored

# One read, and about a millisecond of work.
_AT_A_TIME = 25
Meaning = tuple[Any, ...]


async def check_same(
    runtime: Runtime, came: Mapping[int, Job | None], stored: Stored, *, until: int, batch_id: str
) -> None:
    """Raises Conflict unless, up to this line, those that are stored came again; None is a bad line."""
    jobs = await _hashed_alike(runtime, came, stored.jobs)
    again = {line: _meaning(job) for line, job in came.items() if line <= until}
    known = {line: _meaning(job) for line, job in jobs.items()} | dict.fromkeys(stored.rejected)
    if again != known:
        line = min(line for line, _ in again.items() ^ known.items())
        raise Conflict(f"Idempotency-Key: line {line} {_other(line, again, known)}, for batch {batch_id}.")


def _other(line: int, again: Mapping[int, Meaning | None], known: Mapping[int, Meaning | None]) -> str:
    """Of a line that was refused no more than that is known, and what is known of models changes."""
    if line in again and line in known and None in (again[line], known[line]):
        now, before = ("refused", "taken") if again[line] is None else ("taken", "refused")
        return f"is {now}, and was {before} when it was sent with this key before"
    return "is not the one that was sent with this key before"


async def _hashed_alike(
    runtime: Runtime, came: Mapping[int, Job | None], stored: Mapping[int, Job]
) -> dict[int, Job]:
    """The stored jobs; where a hash is another one, it is made anew from the input that is stored, by today's
    catalogue, which may have learned the model's defaults, or not yet again, since the line first came.
    """
    jobs = dict(stored)
    differing = [
        line for line, job in came.items() if job and line in jobs and job.input_hash != jobs[line].input_hash
    ]
    for first in range(0, len(differing), _AT_A_TIME):
        await asyncio.sleep(0)  # others have their turn
        lines = differing[first : first + _AT_A_TIME]
        inputs = await runtime.store.read(rows.read_inputs, ids=[jobs[line].id for line in lines])
        for line in lines:
            job = jobs[line]
            given = msgspec.json.decode(inputs.get(job.id, "{}"), type=dict[str, Any])
            hashed = input_hash(runtime.catalogue, job.model, job.api_version, given)
            jobs[line] = replace(job, input_hash=hashed)
    return jobs


def _meaning(job: Job | None) -> Meaning | None:
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
