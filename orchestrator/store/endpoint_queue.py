"""What waits for an endpoint: ended where it gets nothing more, led on where its URL has changed.

It may be any number, and others wait for the transaction that changes the endpoint. So a call reaches those
that are among the next at their host; the others follow when they are taken to be attempted: `deliveries`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store import dialect

_AT_A_TIME = 1_000


def end(
    connection: Connection,
    endpoint_id: str,
    *,
    host: str,
    because: str,
    now: int,
    also: Sequence[str] = (),
) -> None:
    """End the next that were to go to this host, and those with the ids in `also`."""
    ids = [*also, *_lock_next(connection, endpoint_id, host)]
    connection.execute(
        dialect.sql(
            "UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = :now, because = :because"
            f" WHERE {dialect.one_of(connection.dialect.name, 'id')} AND state = 'pending'"
        ),
        {"ids": dialect.to_json(ids), "because": because, "now": now},
    )


def lead_on(
    connection: Connection, endpoint_id: str, *, host: str, to: tuple[str, str], also: Sequence[str] = ()
) -> None:
    """The same, but `to` is the URL and the host where they are to go now."""
    ids = [*also, *_lock_next(connection, endpoint_id, host)]
    connection.execute(
        dialect.sql(
            "UPDATE deliveries SET url = :url, host = :host"
            f" WHERE {dialect.one_of(connection.dialect.name, 'id')} AND state = 'pending'"
        ),
        {"ids": dialect.to_json(ids), "url": to[0], "host": to[1]},
    )


def _lock_next(connection: Connection, endpoint_id: str, host: str) -> list[str]:
    """What another writer has locked is passed over: it may be about to lock others of them."""
    found = connection.execute(
        dialect.sql(
            "SELECT id FROM deliveries WHERE id IN (SELECT id FROM deliveries"
            " WHERE host = :host AND due_at IS NOT NULL ORDER BY host, due_at LIMIT :most)"
            " AND endpoint_id = :id AND due_at IS NOT NULL"
            + dialect.lock(connection.dialect.name, skip_locked=True)
        ),
        {"host": host, "id": endpoint_id, "most": _AT_A_TIME},
    )
    return [row[0] for row in found]
