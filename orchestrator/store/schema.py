"""Brings the database to the newest migration, and says whether it is there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from orchestrator.errors import Misconfigured
from orchestrator.store import event_log
from orchestrator.store.database import Database, PostgresDatabase, SqliteDatabase
from orchestrator.store.trouble import DatabaseTrouble, TookTooLong
from orchestrator.tables import metadata

_ROOT = Path(__file__).resolve().parents[2]


def upgrade(connection: Connection) -> None:
    """Run every migration that is missing, and adopt a log from elsewhere, in the connection's transaction.

    For a database that nobody uses yet. Safe to call when none is missing, also where the database is newer
    than this program. Raises Misconfigured for another program's database.
    """
    if not _is_done(connection):
        _migrate(connection)
    event_log.adopt(connection)


async def bring_up_to_date(
    database: PostgresDatabase | SqliteDatabase, *, on_wait: Callable[[], None] = lambda: None
) -> None:
    """`upgrade` beside programs that run, each migration in a transaction of its own; `on_wait` is called
    once when another of them has to be waited for, on PostgreSQL.

    Raises Misconfigured also when the database is out of reach or something in it takes too long.
    """
    try:
        if not await database.read(_is_done):
            await database.migrate(_migrate, on_wait=on_wait)
        await database.write(event_log.adopt)
    except DatabaseTrouble as trouble:
        raise _not_done(trouble) from trouble


def is_current(connection: Connection) -> bool:
    """Whether this program can run: it may be older than the database, but never newer."""
    script = ScriptDirectory.from_config(_config())
    known = {revision.revision for revision in script.walk_revisions()}
    there = MigrationContext.configure(connection).get_current_revision()
    return there is not None and (there == script.get_current_head() or there not in known)


def _is_done(connection: Connection) -> bool:
    """Raises Misconfigured where none of our migrations has run, but some of our tables stand."""
    if is_current(connection):
        return True
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken and MigrationContext.configure(connection).get_current_revision() is None:
        raise Misconfigured(
            f"DATABASE_URL: this database holds tables of another program ({', '.join(taken)});"
            " give Orchestrator one of its own"
        )
    return False


def _migrate(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def require_current(database: Database) -> None:
    """Raises Misconfigured when the database is out of reach or not at the newest version."""
    try:
        current = await database.read(is_current)
    except DatabaseTrouble as trouble:
        raise _not_done(trouble) from trouble
    if not current:
        raise Misconfigured("The database is not at the newest version: run `orchestrator migrate`.")


def _not_done(trouble: DatabaseTrouble) -> Misconfigured:
    if isinstance(trouble, TookTooLong):
        return Misconfigured(
            "DATABASE_URL: something in the database takes too long, such as another transaction that holds"
            f" a table; try again when it has ended ({trouble.cause})"
        )
    return Misconfigured(f"DATABASE_URL: the database cannot be reached ({trouble.cause})")


def _config() -> Config:
    return Config(str(_ROOT / "alembic.ini"))
