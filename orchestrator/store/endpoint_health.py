"""What the answers of an endpoint do to it: one that is gone, or fails for days, is disabled.

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
    if known is None or not is_news or known.disabled_at is not None:
        return False
    if attempted.endpoint is None or attempted.endpoint.url != known.url:
        return False  # it was the answer of an older URL
    failing_since = None if attempted.is_delivered else known.failing_since or attempted.at
    if failing_since != known.failing_since:
        _set_failing(connection, known.id, failing_since)
    because = None if failing_since is None else _why_disabled(attempted, failing_since)
    return because is not None and _disable(connection, known, because, now=attempted.at)


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
