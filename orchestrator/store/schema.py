"""Brings the database to the newest migration, and says whether it is there already."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from orchestrator.store import event_log

_ROOT = Path(__file__).resolve().parents[2]


def upgrade(connection: Connection) -> None:
    """Run every migration that is missing, and adopt a log from elsewhere; safe to call when none is."""
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


def _config() -> Config:
    return Config(str(_ROOT / "alembic.ini"))
