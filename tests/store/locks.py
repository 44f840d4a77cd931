"""Waits for what PostgreSQL itself says of who waits for whom, so that races run in a set order."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.store.store import Store
from tests.store.rows import select

_BLOCKED = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_blocked(store: Store, count: int) -> None:
    """Return once so many transactions wait for a lock."""
    while len(await select(store, _BLOCKED)) < count:  # noqa: ASYNC110  only the server knows
        await asyncio.sleep(0.005)


async def done_or_blocked(store: Store, task: asyncio.Task[Any], *, beside: int) -> None:
    """Return once the task is done, or waits for a lock beside so many others."""
    blocked = asyncio.create_task(until_blocked(store, beside + 1))
    await asyncio.wait({task, blocked}, return_when=asyncio.FIRST_COMPLETED)
    blocked.cancel()
