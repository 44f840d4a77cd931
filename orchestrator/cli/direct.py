"""What a command asks of the settings' database itself, whether a server runs beside it or not.

Two short transactions, the schema's version and the work; SQLite lets them in beside the server's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator import settings
from orchestrator.cli import disk
from orchestrator.cli.failures import CommandFailed
from orchestrator.errors import Misconfigured

if TYPE_CHECKING:
    from orchestrator.store.database import Database, Work

T = TypeVar("T")


def read(work: Work[T]) -> T:
    """Run `work(connection)`.

    Raises Misconfigured for a database that is not there, out of reach or not at the newest version.
    """
    return _run(lambda database: database.read(work))


def write(work: Callable[[Any, int], T]) -> T:
    """Run `work(connection, now)` in a write transaction; `now` is the database's."""
    from orchestrator.store.database import database_now

    return _run(
        lambda database: database.write(lambda connection: work(connection, database_now(connection)))
    )


def _run(use: Callable[[Database], Awaitable[T]]) -> T:
    url = settings.load().resolved_database_url
    if disk.is_missing_file(url):
        raise Misconfigured("There is no database yet: `orchestrator up` or `orchestrator migrate` makes it.")
    return asyncio.run(_opened(url, use))


async def _opened(url: str, use: Callable[[Database], Awaitable[T]]) -> T:
    from orchestrator.store import schema
    from orchestrator.store.database import open_database
    from orchestrator.store.trouble import DatabaseTrouble

    database = open_database(url, pool_size=1)
    try:
        await schema.require_current(database)
        return await use(database)
    except DatabaseTrouble as trouble:
        raise CommandFailed(f"The database did not take it: {trouble.cause}") from trouble
    finally:
        await database.close()
