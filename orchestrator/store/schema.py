"""Brings the database to the newest migration, and says whether it is there already."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from orchestrator.errors import Misconfigured
from orchestrator.store import event_log
from orchestrator.store.database import Database, DatabaseTrouble
from orchestrator.tables import metadata

_ROOT = Path(__file__).resolve().parents[2]


def upgrade(connection: Connection) -> None:
    """Run every migration that is missing, and adopt a log from elsewhere.

    Safe to call when none is, also where the database is newer than this program. Raises Misconfigured for
    another program's database.
    """
    if not is_current(connection):
        _refuse_foreign(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    event_log.adopt(connection)


def is_current(connection: Connection) -> bool:
    """Whether this program can run: it may be older than the database, but never newer."""
    script = ScriptDirectory.from_config(_config())
    known = {revision.revision for revision in script.walk_revisions()}
    there = MigrationContext.configure(connection).get_current_revision()
    return there is not None and (there == script.get_current_head() or there not in known)


def _refuse_foreign(connection: Connection) -> None:
    """Where none of our migrations has run, none of our tables may stand."""
    if MigrationContext.configure(connection).get_current_revision() is None:
        taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
        if taken:
            raise Misconfigured(
                f"DATABASE_URL: this database holds tables of another program ({', '.join(taken)});"
                " give Orchestrator one of its own"
            )


async def bring_up_to_date(database: Database) -> None:
    """`upgrade` for who starts it; raises Misconfigured when the database is out of reach."""
    try:
        await database.write(upgrade)
    except DatabaseTrouble as trouble:
        raise _out_of_reach(trouble) from trouble


async def require_current(database: Database) -> None:
    """Raises Misconfigured when the database is out of reach or not at the newest version."""
    try:
        current = await database.read(is_current)
    except DatabaseTrouble as trouble:
        raise _out_of_reach(trouble) from trouble
    if not current:
        raise Misconfigured("The database is not at the newest version: run `orchestrator migrate`.")


def _out_of_reach(trouble: DatabaseTrouble) -> Misconfigured:
    return Misconfigured(f"DATABASE_URL: the database cannot be reached ({trouble.cause})")


def _config() -> Config:
    return Config(str(_ROOT / "alembic.ini"))
