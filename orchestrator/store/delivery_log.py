"""Deliveries as people see and mend them. Every question is a tenant's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, keys
from orchestrator.store.deliveries import TAKEN_MS

AT_A_TIME = 200


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery, how often it was attempted, and what came of the last attempt."""

    id: str
    job_id: str | None
    batch_id: str | None
    endpoint_id: str | None
    event: str
    url: str
    state: str
    failures: int
    created_at: int
    due_at: int | None
    finished_at: int | None
    attempts: int
    last_status: int | None
    last_error: str | None
    because: str | None


class Attempt(msgspec.Struct, frozen=True):
    """One POST: `status` is None where there was no answer, of which `answer` is the beginning."""

    number: int
    at: int
    latency_ms: int
    status: int | None
    error: str | None
    answer: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`batch_id` asks for the end of the batch and those of its jobs; `before_id` continues a listing."""

    most: int
    before_id: str | None = None
    state: str | None = None
    job_id: str | None = None
    batch_id: str | None = None
    endpoint_id: str | None = None


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """Those of a tenant that died in this time, both ends included; of one endpoint, unless that is None."""

    tenant_id: str
    since: int
    until: int
    endpoint_id: str | None = None


_CONDITIONS = {
    "before_id": "d.id < :before_id",
    "job_id": "d.job_id = :job_id",
    "endpoint_id": "d.endpoint_id = :endpoint_id",
    "batch_id": "(d.batch_id = :batch_id OR d.job_id IN (SELECT id FROM jobs WHERE batch_id = :batch_id))",
}
# Words and no parameters, so that both databases see that the index of the dead will do.
_STATES: dict[str | None, str] = {
    None: "",
    "pending": " AND d.state = 'pending'",
    "delivered": " AND d.state = 'delivered'",
    "dead": " AND d.state = 'dead'",
}
_TOLD = (
    "SELECT d.id, d.job_id, d.batch_id, d.endpoint_id, d.event, d.url, d.state, d.failures, d.created_at,"
    " d.due_at, d.finished_at, d.because,"
    " coalesce(a.number, 0) AS attempts, a.status AS last_status, a.error AS last_error"
    " FROM deliveries d LEFT JOIN delivery_attempts a ON a.delivery_id = d.id"
    " AND a.number = (SELECT max(number) FROM delivery_attempts WHERE delivery_id = d.id)"
    " WHERE d.tenant_id = :tenant"
)
# Nothing is sent to an endpoint that is disabled or gone.
_CAN_HEAR = (
    "(endpoint_id IS NULL OR EXISTS (SELECT 1 FROM endpoints"
    " WHERE endpoints.id = deliveries.endpoint_id AND endpoints.disabled_at IS NULL))"
)


def newest(connection: Connection, *, tenant_id: str, wanted: Wanted) -> list[Told]:
    """Those of the newest job or batch first."""
    asked = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
    conditions = "".join(f" AND {_CONDITIONS[name]}" for name in asked) + _STATES[wanted.state]
    found = connection.execute(
        dialect.sql(f"{_TOLD}{conditions} ORDER BY d.id DESC LIMIT :most"),
        {"tenant": tenant_id, "most": wanted.most} | asked,
    )
    return [_to_told(row) for row in found]


def find(connection: Connection, *, tenant_id: str, delivery_id: str) -> Told | None:
    """None for an unknown id and for another tenant's."""
    found = connection.execute(
        dialect.sql(f"{_TOLD} AND d.id = :id"), {"tenant": tenant_id, "id": delivery_id}
    ).first()
    return _to_told(found) if found else None


def attempts_of(connection: Connection, *, delivery_id: str) -> list[Attempt]:
    """Oldest first; the caller has made sure that the delivery is the tenant's."""
    found = connection.execute(
        dialect.sql(
            "SELECT number, at, latency_ms, status, error, answer FROM delivery_attempts"
            " WHERE delivery_id = :id ORDER BY number"
        ),
        {"id": delivery_id},
    )
    return [Attempt(*row) for row in found]


def redeliver(connection: Connection, *, tenant_id: str, delivery_id: str, actor: str, now: int) -> bool:
    """Make it due now with its whole schedule before it; False unless it is the tenant's and has ended, or
    its next attempt is further away than one could be that is under way.
    """
    if not _restart(connection, [delivery_id], tenant_id=tenant_id, now=now):
        return False
    keys.record_audit(
        connection, tenant_id=tenant_id, actor=actor, action="redeliver", subject=delivery_id, now=now
    )
    return True


def is_far(due_at: int | None, now: int) -> bool:
    """Whether a delivery waits for a later attempt, so that it can be sent before that."""
    return due_at is not None and due_at > now + TAKEN_MS


def can_hear(connection: Connection, *, tenant_id: str, delivery_id: str) -> bool:
    """Whether there is still somebody to send it to: its endpoint may be disabled, or gone."""
    found = connection.execute(
        dialect.sql(f"SELECT 1 FROM deliveries WHERE id = :id AND tenant_id = :tenant AND {_CAN_HEAR}"),
        {"id": delivery_id, "tenant": tenant_id},
    )
    return found.first() is not None


def count_dead(connection: Connection, *, dead: Dead) -> int:
    """How many `redeliver_dead` would send."""
    condition, values = _dead(dead)
    found = connection.execute(dialect.sql(f"SELECT count(*) FROM deliveries WHERE {condition}"), values)
    return int(found.scalar_one())


def redeliver_dead(connection: Connection, *, dead: Dead, after_id: str, actor: str, now: int) -> list[str]:
    """The same for the next of these; answers their ids, `AT_A_TIME` at most.

    `until` is before the first call: what dies again meanwhile is not sent without end.
    """
    condition, values = _dead(dead)
    found = connection.execute(
        dialect.sql(
            f"SELECT id FROM deliveries WHERE {condition} AND id > :after ORDER BY id LIMIT :most"
            + dialect.lock(connection.dialect.name)
        ),
        values | {"after": after_id, "most": AT_A_TIME},
    )
    ids = [row[0] for row in found]
    if ids:
        _restart(connection, ids, tenant_id=dead.tenant_id, now=now)
        subject = f"{len(ids)} dead, {ids[0]} to {ids[-1]}"
        keys.record_audit(
            connection, tenant_id=dead.tenant_id, actor=actor, action="redeliver", subject=subject, now=now
        )
    return ids


def _dead(dead: Dead) -> tuple[str, dict[str, Any]]:
    condition = (
        f"tenant_id = :tenant AND state = 'dead' AND finished_at BETWEEN :since AND :until AND {_CAN_HEAR}"
    )
    values: dict[str, Any] = {"tenant": dead.tenant_id, "since": dead.since, "until": dead.until}
    if dead.endpoint_id is None:
        return condition, values
    return f"{condition} AND endpoint_id = :endpoint", values | {"endpoint": dead.endpoint_id}


def _restart(connection: Connection, ids: Sequence[str], *, tenant_id: str, now: int) -> int:
    """The attempts so far stay, and the next is numbered after them. An endpoint's go where it is now."""
    of_it = "FROM endpoints WHERE endpoints.id = deliveries.endpoint_id"
    changed = connection.execute(
        dialect.sql(
            "UPDATE deliveries SET state = 'pending', due_at = :now, failures = 0, finished_at = NULL,"
            f" because = NULL, url = coalesce((SELECT endpoints.url {of_it}), url),"
            f" host = coalesce((SELECT endpoints.host {of_it}), host)"
            f" WHERE {dialect.one_of(connection.dialect.name, 'id')}"
            f" AND tenant_id = :tenant AND {_CAN_HEAR}"
            " AND (state IN ('dead', 'delivered') OR state = 'pending' AND due_at > :soon)"
        ),
        {"ids": dialect.to_json(list(ids)), "tenant": tenant_id, "now": now, "soon": now + TAKEN_MS},
    )
    return changed.rowcount


def _to_told(row: Any) -> Told:
    return Told(**row._mapping)
