"""A tenant's own limits: how many of its jobs may be at the provider, and how many may be stored unended.

Most tenants have none; then a question here costs one look at the small table of tenants.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from orchestrator.store import dialect


def limited_tenants(connection: Connection) -> frozenset[str]:
    """Those with a limit of jobs at the provider."""
    found = dialect.fetch(connection, "SELECT id FROM tenants WHERE max_in_flight IS NOT NULL", {})
    return frozenset(row[0] for row in found)


def room_in_flight(connection: Connection, *, account_id: str, open_from: int) -> dict[str, int]:
    """How many more jobs may be sent now, of each tenant that has a limit; no open attempt was claimed before
    `open_from`.
    """
    limits = dialect.fetch(
        connection, "SELECT id, max_in_flight FROM tenants WHERE max_in_flight IS NOT NULL", {}
    )
    if not limits:
        return {}
    limited = dialect.one_of(connection.dialect.name, "j.tenant_id")
    found = dialect.fetch(
        connection,
        "SELECT j.tenant_id, count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id"
        f" WHERE a.account_id = :account AND a.ended_at IS NULL AND a.claimed_at >= :open_from AND {limited}"
        " GROUP BY j.tenant_id",
        {"account": account_id, "open_from": open_from, "ids": dialect.to_json([row[0] for row in limits])},
    )
    in_flight = {row[0]: row[1] for row in found}
    return {row[0]: row[1] - in_flight.get(row[0], 0) for row in limits}


def most_queued(connection: Connection, *, tenant_id: str) -> int | None:
    """How many jobs that have not ended this tenant may have stored; None without a limit."""
    found = connection.execute(
        dialect.sql("SELECT max_queued FROM tenants WHERE id = :tenant"), {"tenant": tenant_id}
    )
    most: int | None = found.scalar_one_or_none()
    return most


def room_in_queue(connection: Connection, tenants: Iterable[str]) -> dict[str, int]:
    """How many more jobs may be stored now, of each of these tenants that has a limit.

    Two that ask at once may both be told the last place: the limit is to keep order, not a guarantee.
    """
    wanted = dialect.one_of(connection.dialect.name, "t.id")
    found = connection.execute(
        dialect.sql(
            "SELECT t.id, t.max_queued - (SELECT count(*) FROM jobs"
            " WHERE tenant_id = t.id AND finished_at IS NULL) AS room"
            f" FROM tenants t WHERE {wanted} AND t.max_queued IS NOT NULL"
        ),
        {"ids": dialect.to_json(sorted(set(tenants)))},
    )
    return {row[0]: row[1] for row in found}
