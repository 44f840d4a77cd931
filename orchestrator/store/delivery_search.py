"""Finds deliveries for the dashboard, of one tenant or of all, and says how their receivers are.

A filter that has no index is held against the newest `LOOKED_THROUGH` only, and the answer says where that
ended: however many deliveries there are, a look costs no more.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import MINUTE
from orchestrator.store import dialect

LOOKED_THROUGH = 10_000
RECEIVERS_OF = 1_000
"""So many of the newest deliveries tell how their receivers are."""

OVERDUE_MS = MINUTE
"""A delivery that is due for so long is late, and an endpoint that fails for so long did not just stumble."""

_LAST = (
    " LEFT JOIN delivery_attempts a ON a.delivery_id = d.id"
    " AND a.number = (SELECT max(number) FROM delivery_attempts WHERE delivery_id = d.id)"
)
_LISTED = (
    "SELECT d.id, d.tenant_id, d.job_id, d.batch_id, d.endpoint_id, d.event, d.scheme, d.because,"
    " d.url, d.host, d.state, d.failures, d.created_at,"
    " d.due_at, d.finished_at, coalesce(a.number, 0) AS attempts, a.at AS last_at,"
    " a.status AS last_status, a.error AS last_error"
)
# What an index answers. The dead have indexes of their own, which both databases see by these words.
_INDEXED = {
    "tenant_id": "tenant_id = :tenant_id",
    "before_id": "id < :before_id",
    "job_id": "job_id = :job_id",
    "endpoint_id": "endpoint_id = :endpoint_id",
}
_SIFTED = {
    "host": "d.host = :host",
    "batch_id": "(d.batch_id = :batch_id OR EXISTS"
    " (SELECT 1 FROM jobs j WHERE j.id = d.job_id AND j.batch_id = :batch_id))",
}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery, whose it is, how often it was attempted, and what came of the last attempt."""

    id: str
    tenant_id: str
    job_id: str | None
    batch_id: str | None
    endpoint_id: str | None
    event: str
    scheme: str
    because: str | None
    url: str
    host: str
    state: str
    failures: int
    created_at: int
    due_at: int | None
    finished_at: int | None
    attempts: int
    last_at: int | None
    last_status: int | None
    last_error: str | None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """None asks for nothing; `tenant_id` None is all tenants, `before_id` continues a listing."""

    tenant_id: str | None = None
    before_id: str | None = None
    job_id: str | None = None
    endpoint_id: str | None = None
    batch_id: str | None = None
    host: str | None = None
    state: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Newest first. `next_id` continues; `is_cut` says that it is where the look ended, not the page."""

    items: list[Listed]
    next_id: str | None
    is_cut: bool


class Overdue(msgspec.Struct, frozen=True):
    """Deliveries that should have been made: so many, and since when the oldest is due."""

    count: int
    since: int | None


class Receiver(msgspec.Struct, frozen=True):
    """A host: how many of the newest deliveries to it are in each state, and its last failure."""

    host: str
    pending: int
    delivered: int
    dead: int
    failed_at: int | None
    last_status: int | None
    last_error: str | None


def search(connection: Connection, *, asked: Asked, most: int, look_through: int = LOOKED_THROUGH) -> Page:
    """At most so many that match, of the newest `look_through` where the filter has no index."""
    newest, values = _newest(asked)
    sifts = [sift for name, sift in _SIFTED.items() if getattr(asked, name) is not None]
    if asked.state in ("pending", "delivered"):
        sifts.append("d.state = :state")
    looked = look_through if sifts else most + 1
    found = connection.execute(
        dialect.sql(
            f"{_LISTED} FROM (SELECT * FROM deliveries{newest} LIMIT :looked) AS d{_LAST}"
            f"{' WHERE ' if sifts else ''}{' AND '.join(sifts)} ORDER BY d.id DESC LIMIT :most"
        ),
        values | {"looked": looked, "most": most + 1},
    )
    items = [Listed(**row) for row in found.mappings()]
    if len(items) > most:
        return Page(items[:most], items[most - 1].id, is_cut=False)
    end = _end(connection, newest, values | {"skip": look_through - 1}) if sifts else None
    return Page(items, end, is_cut=end is not None)


def find(connection: Connection, *, delivery_id: str, tenant_id: str | None) -> Listed | None:
    """None for an unknown id and for another tenant's."""
    owned = "" if tenant_id is None else " AND d.tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"{_LISTED} FROM deliveries d{_LAST} WHERE d.id = :id{owned}"),
        {"id": delivery_id, "tenant": tenant_id},
    ).mappings()
    row = found.first()
    return None if row is None else Listed(**row)


def receivers(connection: Connection, *, tenant_id: str | None) -> list[Receiver]:
    """Those with dead deliveries first, then those with most."""
    newest, values = _newest(Asked(tenant_id=tenant_id))
    found = connection.execute(
        dialect.sql(
            "SELECT d.host, d.state, a.at, a.status, a.error"
            f" FROM (SELECT * FROM deliveries{newest} LIMIT {RECEIVERS_OF}) AS d{_LAST}"
        ),
        values,
    )
    by_host: dict[str, list[Any]] = defaultdict(list)
    for row in found:
        by_host[row.host].append(row)
    seen = [_receiver(host, rows) for host, rows in by_host.items()]
    return sorted(seen, key=lambda one: (-one.dead, -(one.pending + one.delivered), one.host))


def overdue(connection: Connection, *, now: int, tenant_id: str | None, most: int) -> Overdue:
    """At most so many; a tenant's own are looked for among the oldest of all."""
    owned = "" if tenant_id is None else " WHERE tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(
            "SELECT count(*), min(due_at) FROM (SELECT due_at, tenant_id FROM deliveries"
            f" WHERE due_at < :before ORDER BY due_at LIMIT :looked) AS d{owned}"
        ),
        {
            "before": now - OVERDUE_MS,
            "looked": most if tenant_id is None else LOOKED_THROUGH,
            "tenant": tenant_id,
        },
    ).one()
    return Overdue(min(found[0], most), found[1])


def owners_of_dead(connection: Connection, *, since: int, tenant_id: str | None) -> list[str]:
    """The tenants that had a delivery given up since then."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(
            "SELECT DISTINCT tenant_id FROM deliveries WHERE state = 'dead' AND finished_at >= :since"
            f"{owned} ORDER BY tenant_id"
        ),
        {"since": since, "tenant": tenant_id},
    )
    return [row[0] for row in found]


def _newest(asked: Asked) -> tuple[str, dict[str, Any]]:
    """The end of a query for the newest deliveries that an index finds."""
    values = msgspec.structs.asdict(asked)
    conditions = [condition for name, condition in _INDEXED.items() if values[name] is not None]
    if asked.state == "dead":
        conditions.append("state = 'dead'")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{where} ORDER BY id DESC", values


def _end(connection: Connection, newest: str, values: dict[str, Any]) -> str | None:
    """The id up to which was looked; None where there are not so many."""
    found = connection.execute(
        dialect.sql(f"SELECT id FROM deliveries{newest} LIMIT 1 OFFSET :skip"), values
    ).scalar()
    return None if found is None else str(found)


def _receiver(host: str, rows: list[Any]) -> Receiver:
    states = [row.state for row in rows]
    failed = [row for row in rows if row.state != "delivered" and row.at is not None]
    last = max(failed, key=lambda row: int(row.at), default=None)
    return Receiver(
        host=host,
        pending=states.count("pending"),
        delivered=states.count("delivered"),
        dead=states.count("dead"),
        failed_at=last.at if last else None,
        last_status=last.status if last else None,
        last_error=last.error if last else None,
    )
