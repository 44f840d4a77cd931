"""Deletes jobs that somebody names, a few at a time, so that nobody else waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from orchestrator.runtime import Runtime
from orchestrator.store import retention

_AT_A_TIME = 200


async def delete_jobs(runtime: Runtime, tenant_id: str, ids: Sequence[str], *, actor: str) -> int:
    """Delete those of the tenant's jobs that have ended; answers how many. What was deleted before a failure
    stays deleted.
    """
    deleted = done = 0
    while done < len(ids):
        started = time.monotonic()
        step = await runtime.store.write(
            retention.delete_by_hand,
            tenant_id=tenant_id,
            ids=ids[done : done + _AT_A_TIME],
            actor=actor,
            now=runtime.clock.now(),
        )
        deleted, done = deleted + step.jobs, done + step.ids
        if done < len(ids):  # on SQLite nothing of a step waits: the others have the loop for as long
            await asyncio.sleep(time.monotonic() - started)
    return deleted
