"""What answers do to where they come from: an endpoint that is gone, or fails for days, is disabled, and to
the URL of single jobs or batches that is gone nothing waits any more.

The tenant's other endpoints are told. Called with each attempt, in the transaction that records it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.store import deliveries, dialect, endpoints, outbox
from orchestrator.store.deliveries import Attempted
from orchestrator.store.endpoints import Endpoint
from orchestrator.webhook_events import Event

_GONE = 410
# Those behind them end by an answer of their own, and end the next.
_ENDED_AT_A_TIME = 1_000


def record_attempts(connection: Connection, attempts: Sequence[Attempted]) -> list[bool]:
    """Record what came of each; True where its endpoint has been disabled by it."""
    # Sorted, so that two writers lock the same endpoints in the same order.
    ordered = sorted(attempts, key=lambda one: (one.endpoint.id if one.endpoint else "", one.delivery_id))
    disabled = {id(one): record_attempt(connection, attempted=one) for one in ordered}
    return [disabled[id(one)] for one in attempts]


def record_attempt(connection: Connection, *, attempted: Attempted) -> bool:
    """Record what came of an attempt; True when its endpoint has been disabled by it."""
    known = endpoints.lock(connection, attempted.endpoint.id) if attempted.endpoint else None
    is_news = deliveries.record_attempt(connection, attempted=attempted)
    if attempted.endpoint is None and is_news and attempted.status == _GONE:
        _end_others(connection, attempted)
    if known is None or not is_news or known.disabled_at is not None:
        return False
    if attempted.endpoint is None or attempted.endpoint.url != known.url:
        return False  # it was the answer of an older URL
    failing_since = None if attempted.is_delivered else known.failing_since or attempted.at
    if failing_since != known.failing_since:
        _set_failing(connection, known.id, failing_since)
    because = None if failing_since is None else _why_disabled(attempted, failing_since)
    return because is not None and _disable(connection, known, because, now=attempted.at)


def _end_others(connection: Connection, attempted: Attempted) -> None:
    """What waits for the same URL of the same tenant, as far as it is among the next at its host. What
    another writer has locked is passed over: two that end each other's would wait in a circle.
    """
    host, tenant_id, url = (
        f"(SELECT {name} FROM deliveries WHERE id = :id)" for name in ("host", "tenant_id", "url")
    )
    connection.execute(
        dialect.sql(
            "UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = :now, because = :because"
            " WHERE id IN (SELECT id FROM deliveries WHERE id IN (SELECT id FROM deliveries"
            f" WHERE host = {host} AND due_at IS NOT NULL ORDER BY host, due_at LIMIT :most)"
            f" AND tenant_id = {tenant_id} AND url = {url} AND due_at IS NOT NULL AND endpoint_id IS NULL"
            + dialect.lock(connection.dialect.name, skip_locked=True)
            + ")"
        ),
        {
            "id": attempted.delivery_id,
            "now": attempted.at,
            "because": "its URL answered 410 Gone",
            "most": _ENDED_AT_A_TIME,
        },
    )


def _why_disabled(attempted: Attempted, failing_since: int) -> str | None:
    if attempted.status == _GONE:
        return "it answered 410 Gone"
    has_died = attempted.due_at is None
    if has_died and attempted.at - failing_since >= policy.ENDPOINT_FAILING_MS:
        return "a delivery died, and none had been heard for five days"
    return None


def _set_failing(connection: Connection, endpoint_id: str, since: int | None) -> None:
    connection.execute(
        dialect.sql("UPDATE endpoints SET failing_since = :since WHERE id = :id"),
        {"since": since, "id": endpoint_id},
    )


def _disable(connection: Connection, endpoint: Endpoint, because: str, *, now: int) -> bool:
    disabled = endpoints.disable(connection, endpoint_id=endpoint.id, because=because, now=now)
    if disabled is None:
        return False
    endpoints.record(connection, "disable", endpoint, actor="deliveries", now=now)
    told = endpoints.shown(disabled)
    outbox.tell_all(connection, endpoint.tenant_id, Event.ENDPOINT_DISABLED, told, now=now)
    return True
