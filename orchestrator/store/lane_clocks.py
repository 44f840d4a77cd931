"""Lanes whose budget was reckoned by a clock that ran ahead are put right by the database's own.

A budget never fills from a clock that goes back, so such a lane would stand still until that time has come.
Only the database's clock, read in the same transaction, may say so: by that of a worker which is late itself,
a budget would be put back into the past, and fill twice.
"""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.store import dialect
from orchestrator.store.database import database_now

# Further apart are no two clocks that follow the database's each second.
_APART_MS = 5_000


def are_ahead(connection: Connection) -> list[str]:
    """The lanes, polls included, that would stand still, by id."""
    found = connection.execute(
        dialect.sql("SELECT id FROM lanes WHERE tokens_at > :latest ORDER BY id"),
        {"latest": database_now(connection) + _APART_MS},
    )
    return [row[0] for row in found]


def put_right(connection: Connection, *, lanes: list[str]) -> None:
    """They fill from now on, and from nothing: what is left may have come from the wrong clock."""
    now = database_now(connection)
    for lane in sorted(lanes):
        connection.execute(
            dialect.sql(
                "UPDATE lanes SET tokens = CASE WHEN tokens < 0 THEN tokens ELSE 0 END, tokens_at = :now,"
                " factor_at = CASE WHEN factor_at > :now THEN :now ELSE factor_at END"
                " WHERE id = :lane AND tokens_at > :latest"
            ),
            {"lane": lane, "now": now, "latest": now + _APART_MS},
        )
