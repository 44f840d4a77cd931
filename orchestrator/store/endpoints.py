"""Standing webhook endpoints as rows: made, changed and removed by the people of a tenant.

What is told to them is written by `outbox`, what waits for them is ended and led on by `endpoint_queue`, what
their answers do to them by `endpoint_health`, and their secrets are changed by `endpoint_secrets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import to_rfc3339
from orchestrator.store import dialect, endpoint_queue, keys, many_rows

MOST_PER_TENANT = 20
BY_OWNER = "disabled by its owner"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The row of `endpoints`; `events` are separated by spaces, secrets are sealed, times in ms."""

    id: str
    tenant_id: str
    url: str
    host: str
    events: str
    description: str
    scheme: str
    secret: str
    created_at: int
    old_secret: str | None = None
    old_secret_until: int | None = None
    failing_since: int | None = None
    disabled_at: int | None = None
    disabled_because: str | None = None


COLUMNS = ", ".join(Endpoint.__struct_fields__)
_MAY_CHANGE = frozenset({"url", "host", "events", "description", "scheme"})


def insert(connection: Connection, *, new: Endpoint, actor: str) -> bool:
    """Store a new endpoint; False when its tenant has as many as it may."""
    # Locked, so that two made at once do not both find the last place.
    connection.execute(
        dialect.sql("SELECT id FROM tenants WHERE id = :tenant" + dialect.lock(connection.dialect.name)),
        {"tenant": new.tenant_id},
    )
    if len(of_tenant(connection, tenant_id=new.tenant_id)) >= MOST_PER_TENANT:
        return False
    many_rows.insert_many(connection, "endpoints", [msgspec.structs.asdict(new)])
    record(connection, "create", new, actor=actor, now=new.created_at)
    return True


def of_tenant(connection: Connection, *, tenant_id: str | None) -> list[Endpoint]:
    """Oldest first; with None as the tenant, of all tenants."""
    owned = "" if tenant_id is None else " WHERE tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"SELECT {COLUMNS} FROM endpoints{owned} ORDER BY id"),
        {} if tenant_id is None else {"tenant": tenant_id},
    )
    return [Endpoint(**row._mapping) for row in found]


def failing(connection: Connection, *, before: int, tenant_id: str | None, most: int) -> list[Endpoint]:
    """Those that have been failing since before then, and are still tried; the longest first."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM endpoints WHERE failing_since < :before AND disabled_at IS NULL{owned}"
            " ORDER BY failing_since LIMIT :most"
        ),
        {"before": before, "most": most} | ({} if tenant_id is None else {"tenant": tenant_id}),
    )
    return [Endpoint(**row._mapping) for row in found]


def find(connection: Connection, *, tenant_id: str | None, endpoint_id: str) -> Endpoint | None:
    """None for an unknown id and for another tenant's; with None as the tenant, whoever's it is."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"SELECT {COLUMNS} FROM endpoints WHERE id = :id{owned}"),
        {"id": endpoint_id} | ({} if tenant_id is None else {"tenant": tenant_id}),
    ).first()
    return Endpoint(**found._mapping) if found else None


def change(
    connection: Connection,
    *,
    tenant_id: str,
    endpoint_id: str,
    changes: Mapping[str, str],
    is_enabled: bool | None,
    actor: str,
    now: int,
) -> Endpoint | None:
    """Set these columns, and enable or disable it unless that is None. None for what `find` does not find.

    A new URL is where everything goes from now on that has not been delivered.
    """
    was = lock(connection, endpoint_id)
    if was is None or was.tenant_id != tenant_id:
        return None
    sets = [f"{column} = :{column}" for column in sorted(changes.keys() & _MAY_CHANGE)]
    if is_enabled:
        sets += ["disabled_at = NULL", "disabled_because = NULL"]
    if is_enabled or "url" in changes:
        sets.append("failing_since = NULL")
    found = connection.execute(
        dialect.sql(
            f"UPDATE endpoints SET {', '.join(sets or ['id = id'])} WHERE id = :id RETURNING {COLUMNS}"
        ),
        {"id": endpoint_id, **changes},
    ).one()
    changed = Endpoint(**found._mapping)
    if "url" in changes:
        endpoint_queue.lead_on(connection, endpoint_id, host=was.host, to=(changed.url, changed.host))
    if is_enabled is False:
        disable(connection, endpoint_id=endpoint_id, because=BY_OWNER, now=now)
    record(connection, "change", changed, actor=actor, now=now)
    return find(connection, tenant_id=tenant_id, endpoint_id=endpoint_id)


def disable(connection: Connection, *, endpoint_id: str, because: str, now: int) -> Endpoint | None:
    """It gets nothing more, and what it was to get is dead, of very many the later ones when they are due;
    None when it was disabled already.
    """
    found = connection.execute(
        dialect.sql(
            "UPDATE endpoints SET disabled_at = :now, disabled_because = :because"
            f" WHERE id = :id AND disabled_at IS NULL RETURNING {COLUMNS}"
        ),
        {"id": endpoint_id, "because": because, "now": now},
    ).first()
    if found is None:
        return None
    disabled = Endpoint(**found._mapping)
    because = f"the endpoint was disabled: {because}"
    endpoint_queue.end(connection, endpoint_id, host=disabled.host, because=because, now=now)
    return disabled


def remove(connection: Connection, *, tenant_id: str, endpoint_id: str, actor: str, now: int) -> bool:
    """Delete it; what it was told stays to be seen. False for what `find` does not find."""
    endpoint = lock(connection, endpoint_id)
    if endpoint is None or endpoint.tenant_id != tenant_id:
        return False
    connection.execute(dialect.sql("DELETE FROM endpoints WHERE id = :id"), {"id": endpoint_id})
    endpoint_queue.end(
        connection, endpoint_id, host=endpoint.host, because="the endpoint was removed", now=now
    )
    record(connection, "remove", endpoint, actor=actor, now=now)
    return True


def lock(connection: Connection, endpoint_id: str) -> Endpoint | None:
    """For whoever changes it and its deliveries: the endpoint is locked first, always."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM endpoints WHERE id = :id" + dialect.lock(connection.dialect.name)
        ),
        {"id": endpoint_id},
    ).first()
    return Endpoint(**found._mapping) if found else None


def enabled(connection: Connection, ids: Iterable[str]) -> dict[str, Endpoint]:
    """Those of these endpoints, whosever they are, that are to get anything."""
    wanted = dialect.one_of(connection.dialect.name, "id")
    found = connection.execute(
        dialect.sql(f"SELECT {COLUMNS} FROM endpoints WHERE {wanted} AND disabled_at IS NULL"),
        {"ids": dialect.to_json(sorted(set(ids)))},
    )
    return {row.id: Endpoint(**row._mapping) for row in found}


def listening_tenants(connection: Connection) -> frozenset[str]:
    """The tenants that have an endpoint which is to get something."""
    found = dialect.fetch(
        connection, "SELECT DISTINCT tenant_id FROM endpoints WHERE disabled_at IS NULL", {}
    )
    return frozenset(row[0] for row in found)


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """What its people see; the query of its URL may hold a secret, and stays away."""
    disabled_at, failing_since = endpoint.disabled_at, endpoint.failing_since
    return {
        "id": endpoint.id,
        "url": shown_url(endpoint.url),
        "events": endpoint.events.split(),
        "description": endpoint.description,
        "scheme": endpoint.scheme,
        "enabled": disabled_at is None,
        "disabled_at": "" if disabled_at is None else to_rfc3339(disabled_at),
        "disabled_because": endpoint.disabled_because or "",
        "failing_since": "" if failing_since is None else to_rfc3339(failing_since),
        "created_at": to_rfc3339(endpoint.created_at),
    }


def shown_url(url: str) -> str:
    """Without what may hold a secret: the query, the fragment and a user with a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def record(connection: Connection, verb: str, endpoint: Endpoint, *, actor: str, now: int) -> None:
    """Who did what to it."""
    keys.record_audit(
        connection,
        tenant_id=endpoint.tenant_id,
        actor=actor,
        action=f"endpoint.{verb}",
        subject=endpoint.id,
        now=now,
    )
