"""One database, PostgreSQL or SQLite: runs plain functions over a SQLAlchemy `Connection`.

On PostgreSQL they run through asyncpg on a pool; on SQLite directly in the event loop, in bounded
pieces, because each hop to a thread costs more than the statement. No function given to `write`
or `read` may wait for anything but the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as PostgresDriver
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from orchestrator.errors import Misconfigured
from orchestrator.store import dialect
from orchestrator.store.trouble import CommitLost, DatabaseTrouble, Overtaken, cause_of, trouble_of

T = TypeVar("T")
Work = Callable[[Connection], T]

# Each time in a younger transaction, which is seldom overtaken, too.
_OVERTAKEN_AT_MOST = 5
_BROKEN_OFF = (DBAPIError, PostgresDriver.Error, PoolTimeout, OSError, TimeoutError)
# What may stand behind the `?` of PostgreSQL's URL; asyncpg takes no other of libpq's words there.
_PARAMETERS = {"host", "port", "ssl"}
# A migration may take its time, but nobody shall queue for long behind a lock that it waits for.
_MIGRATING = {
    "application_name": "orchestrator migrate",
    "statement_timeout": "0",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}
# Any number that other programs are not likely to lock.
_TAKE_TURN = text("SELECT pg_try_advisory_lock(7240871354202531)")
_TURN_PAUSE_S = 0.2
_NOW = {
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"),
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"),
}


class Database(Protocol):
    """A transaction of your own for one function; DatabaseTrouble when the database is in trouble, and
    CommitLost where that leaves open whether the transaction was committed.
    """

    dialect: str

    async def write(self, work: Work[T]) -> T: ...

    async def read(self, work: Work[T]) -> T: ...

    async def close(self) -> None: ...


def open_database(url: str, *, pool_size: int = 10) -> PostgresDatabase | SqliteDatabase:
    """`postgresql+asyncpg://…` or `sqlite:///…`. Raises Misconfigured for what cannot be one of them."""
    if url.startswith("sqlite"):
        return SqliteDatabase(url)
    return PostgresDatabase(url, pool_size=pool_size)


def database_now(connection: Connection) -> int:
    """The database's clock in ms."""
    return int(connection.execute(_NOW[connection.dialect.name]).scalar_one())


class PostgresDatabase:
    """A pool of asyncpg connections; every wait inside the server is bounded."""

    dialect = "postgresql"

    def __init__(self, url: str, *, pool_size: int) -> None:
        self._engine = create_async_engine(
            _postgres_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            connect_args={
                "timeout": 5,
                "command_timeout": 30,
                "server_settings": {
                    "application_name": "orchestrator",
                    "statement_timeout": "10000",
                    "lock_timeout": "5000",
                    "idle_in_transaction_session_timeout": "15000",
                    "jit": "off",
                    # Every question has its index. A table that has just been filled is thought to be
                    # small still, and would be read as a whole, or joined as a whole, for fifty rows.
                    "enable_seqscan": "off",
                    "enable_hashjoin": "off",
                    "enable_mergejoin": "off",
                    "random_page_cost": "1.1",
                },
            },
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)

    async def write(self, work: Work[T]) -> T:
        for _ in range(_OVERTAKEN_AT_MOST):
            with contextlib.suppress(Overtaken):
                return await self._write(work)
        return await self._write(work)

    async def _write(self, work: Work[T]) -> T:
        is_committing = False
        try:
            async with self._engine.begin() as connection:
                result = await connection.run_sync(_run_or_invalidate, work)
                is_committing = True
        except _BROKEN_OFF as error:
            if isinstance(cause_of(error), PostgresDriver.InvalidCachedStatementError):
                await self._engine.dispose()  # each connection has plans for the schema as it was
            trouble = trouble_of(error)
            if is_committing and isinstance(trouble, DatabaseTrouble):
                raise CommitLost(cause=trouble.cause) from error
            raise trouble from error
        return result

    async def read(self, work: Work[T]) -> T:
        """Tried twice: a pooled connection may have died while it lay idle."""
        try:
            return await self.write(work)
        except DatabaseTrouble:
            return await self.write(work)

    async def migrate(self, work: Work[None], *, on_wait: Callable[[], None]) -> None:
        """Run what opens transactions of its own, without a limit of time, and nowhere twice at once:
        `on_wait` is called where another is at it.
        """
        engine = create_async_engine(
            self._engine.url,
            poolclass=NullPool,
            connect_args={"timeout": 5, "server_settings": _MIGRATING},
        )
        try:
            async with engine.connect() as connection:
                await _take_turn(connection, on_wait)
                await connection.run_sync(work)
        except _BROKEN_OFF as error:
            raise trouble_of(error) from error
        finally:
            await engine.dispose()

    async def close(self) -> None:
        await self._engine.dispose()


async def _take_turn(connection: AsyncConnection, on_wait: Callable[[], None]) -> None:
    """Asked for again and again: a statement that waits is a transaction, and a build of an index beside
    writers waits for the end of those.
    """
    is_told = False
    while not await connection.scalar(_TAKE_TURN):
        if not is_told:
            on_wait()
        is_told = True
        await connection.commit()
        await asyncio.sleep(_TURN_PAUSE_S)
    await connection.commit()


def _postgres_url(text: str) -> URL:
    """Taken apart, or refused without the parser's own words, which may be part of a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise Misconfigured(
            "DATABASE_URL: must be postgresql://user:password@host:port/name,"
            " with %-codes for what is no letter or digit of the password"
        ) from None
    for name in url.query:
        if name not in _PARAMETERS:
            raise Misconfigured(f"DATABASE_URL: ?{name}= is not known; host, port and sslmode are")
    given = url.query.get("host", "")
    if "," in (url.host or "") or not isinstance(given, str) or "," in given:
        raise Misconfigured("DATABASE_URL: one host, please; a name or a proxy can stand for several servers")
    return url


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """At each checkout from the pool: if one was closed meanwhile, the server was, and so were the others."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _run_or_invalidate(connection: Connection, work: Work[T]) -> T:
    """Do not give a connection back that is in the middle of something."""
    try:
        return work(connection)
    except asyncio.CancelledError:
        connection.invalidate()
        raise


class SqliteDatabase:
    """One connection that writes (BEGIN IMMEDIATE) and one that only reads, both in the event loop."""

    dialect = "sqlite"

    def __init__(self, url: str) -> None:
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self._writer = _sqlite_engine(url, begin="BEGIN IMMEDIATE")
        self._reader = _sqlite_engine(url, begin="BEGIN")

    async def write(self, work: Work[T]) -> T:
        return _run(self._writer, work)

    async def read(self, work: Work[T]) -> T:
        return _run(self._reader, work)

    async def migrate(self, work: Work[None], *, on_wait: Callable[[], None]) -> None:
        """In one transaction, which keeps every other writer out."""
        await self.write(work)

    async def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


def _run(engine: Engine, work: Work[T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except (DBAPIError, sqlite3.Error) as error:
        raise trouble_of(error) from error


def _sqlite_engine(url: str, *, begin: str) -> Engine:
    engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": 5})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions by itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-12000")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA wal_autocheckpoint=4000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        dialect.driver(connection).execute(begin)

    return engine
