"""What the dashboard shows of the installation: processes, database, how far the figures are, the audit."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, event_log, figures, processes
from orchestrator.store.processes import Process

_SIZES = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}
COUNTED_UP_TO = 10_000
"""More of what is not counted yet is no other news."""

_VERSIONS = {"postgresql": "SHOW server_version", "sqlite": "SELECT sqlite_version()"}


class DatabaseSeen(msgspec.Struct, frozen=True):
    """`kind` is "PostgreSQL" or "SQLite"; `size` in bytes."""

    kind: str
    version: str
    size: int
    migration: str


class Lag(msgspec.Struct, frozen=True):
    """How far the figures are behind the event log: so many events, `COUNTED_UP_TO` at most, and when the
    oldest of them happened.
    """

    events: int
    since: int | None


class Audited(msgspec.Struct, frozen=True):
    """A line of the audit."""

    id: str
    tenant: str
    at: int
    actor: str
    action: str
    object: str


class SystemBoard(msgspec.Struct, frozen=True):
    """What one look reads."""

    processes: list[Process]
    database: DatabaseSeen
    lag: Lag


def system_board(connection: Connection) -> SystemBoard:
    return SystemBoard(processes.running(connection), see_database(connection), figures_lag(connection))


def see_database(connection: Connection) -> DatabaseSeen:
    name = connection.dialect.name
    size = connection.execute(dialect.sql(_SIZES[name])).scalar_one()
    version = connection.execute(dialect.sql(_VERSIONS[name])).scalar_one()
    migration = connection.execute(dialect.sql("SELECT version_num FROM alembic_version")).scalar_one()
    kind = "PostgreSQL" if name == "postgresql" else "SQLite"
    return DatabaseSeen(kind, str(version).split()[0], int(size), str(migration))


def ping(connection: Connection) -> None:
    """The least that the database can be asked."""
    connection.execute(dialect.sql("SELECT 1")).scalar_one()


def figures_lag(connection: Connection) -> Lag:
    place = connection.execute(
        dialect.sql("SELECT place FROM followers WHERE name = :name"), {"name": figures.FOLLOWER}
    ).scalar()
    counted = event_log.parse_cursor(place) if place else None
    found = connection.execute(
        dialect.sql(
            "SELECT count(*), min(at) FROM"
            f" (SELECT e.at FROM events e WHERE {event_log.after(connection.dialect.name)}"
            f" LIMIT {COUNTED_UP_TO}) AS uncounted"
        ),
        (counted or event_log.START)._asdict(),
    ).one()
    return Lag(found[0], found[1])


def newest_audit(
    connection: Connection, *, tenant_id: str | None, before_id: str | None, most: int
) -> list[Audited]:
    """Newest first; of all tenants with None. `before_id` continues a listing."""
    conditions = [
        condition
        for condition, value in (("a.tenant_id = :tenant", tenant_id), ("a.id < :before", before_id))
        if value is not None
    ]
    found = connection.execute(
        dialect.sql(
            "SELECT a.id, t.name, a.at, a.actor, a.action, a.object FROM audit a"
            " JOIN tenants t ON t.id = a.tenant_id"
            f"{' WHERE ' if conditions else ''}{' AND '.join(conditions)} ORDER BY a.id DESC LIMIT :most"
        ),
        {"tenant": tenant_id, "before": before_id, "most": most},
    )
    return [Audited(*row) for row in found]
