"""Which deliveries are due: the oldest of all, or a few to each host, so that no host delays another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.store import dialect

# Closed hosts may have so many times as many due before the others are looked for host by host.
_LOOKED_AT = 5
# A range of the index of hosts: with two conditions PostgreSQL would rather read what is due to all hosts.
_FEW = (
    "FROM deliveries WHERE due_at IS NOT NULL AND (host, due_at) >= (hosts.host, 0)"
    " AND (host, due_at) <= (hosts.host, :now) ORDER BY host, due_at LIMIT :of_each"
)
# The few of each host: SQLite knows no LATERAL, and PostgreSQL asks the other form of every pair of rows.
_OF_EACH = {
    "sqlite": f"JOIN deliveries d ON d.id IN (SELECT id {_FEW})",
    "postgresql": f"CROSS JOIN LATERAL (SELECT id, host, due_at {_FEW}) AS d",
}


class Waiting(msgspec.Struct, frozen=True):
    """A delivery that is due, and where it goes."""

    id: str
    host: str


def due_deliveries(
    connection: Connection, *, now: int, most: int, closed_hosts: Sequence[str] = ()
) -> list[Waiting]:
    """Those due longest to other hosts; nobody has taken them yet."""
    looked_at = most if not closed_hosts else most * _LOOKED_AT
    oldest = dialect.fetch(
        connection,
        "SELECT id, host FROM deliveries WHERE due_at <= :now ORDER BY due_at LIMIT :most",
        {"now": now, "most": looked_at},
    )
    closed = frozenset(closed_hosts)
    waiting = [Waiting(*row) for row in oldest if row[1] not in closed]
    if len(waiting) >= most or len(oldest) < looked_at:
        return waiting[:most]
    # Host by host it costs nothing how many are due to those that are closed.
    hosts = (
        "WITH RECURSIVE hosts(host) AS ("
        "SELECT min(host) FROM deliveries WHERE due_at IS NOT NULL UNION ALL"
        " SELECT (SELECT min(host) FROM deliveries WHERE due_at IS NOT NULL AND host > hosts.host)"
        " FROM hosts WHERE host IS NOT NULL)"
    )
    is_closed = dialect.one_of(connection.dialect.name, "hosts.host")
    values = {"now": now, "most": most, "ids": dialect.to_json(sorted(closed))}
    return _few_of_each(connection, hosts, f" WHERE NOT ({is_closed})", values)


def due_to_hosts(connection: Connection, *, now: int, most: int, hosts: Sequence[str]) -> list[Waiting]:
    """Those due longest to these hosts, a few of each; it costs nothing how many are due to others."""
    if not hosts:
        return []
    listed = dialect.incoming(connection.dialect.name, {"host": "text"})
    rows_of_hosts = dialect.to_json([{"host": host} for host in hosts])
    values = {"now": now, "most": most, "rows": rows_of_hosts}
    return _few_of_each(connection, f"WITH hosts AS (SELECT host FROM {listed})", "", values)


def _few_of_each(
    connection: Connection, hosts: str, condition: str, values: Mapping[str, Any]
) -> list[Waiting]:
    found = connection.execute(
        dialect.sql(
            f"{hosts} SELECT d.id, d.host FROM hosts {_OF_EACH[connection.dialect.name]}{condition}"
            " ORDER BY d.due_at LIMIT :most"
        ),
        {**values, "of_each": policy.DELIVERIES_PER_HOST},
    )
    return [Waiting(*row) for row in found]
