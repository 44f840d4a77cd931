"""Waits for what PostgreSQL itself says of who waits for whom, so that races run in a set order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.util import await_only

from orchestrator.store.database import Database
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


@asynccontextmanager
async def held(
    database: Database, take: Callable[[Connection], object], *, give_back: str = ""
) -> AsyncIterator[asyncio.Event]:
    """A transaction that has done `take`, and stays open until the event is set, or the block ends; then it
    does `give_back`, a statement, for what a COMMIT does not give back.
    """
    has_taken, may_end = asyncio.Event(), asyncio.Event()

    def hold(connection: Connection) -> None:
        take(connection)
        has_taken.set()
        await_only(may_end.wait())
        if give_back:
            connection.exec_driver_sql(give_back)

    holding = asyncio.create_task(database.write(hold))
    await has_taken.wait()
    try:
        yield may_end
    finally:
        may_end.set()
        await holding
