"""Deliveries to the users' webhooks: what is due, and what came of an attempt."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, views

_TAKEN_MS = 30_000


class Due(msgspec.Struct, frozen=True):
    """A delivery to attempt now, with what it tells."""

    id: str
    url: str
    failures: int
    found: views.Found


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one attempt: `status` is None when there was no HTTP answer; `due_at` is None when
    the delivery has ended, `is_delivered` then says how.
    """

    delivery_id: str
    number: int
    at: int
    latency_ms: int
    status: int | None
    error: str | None
    answer: str
    is_delivered: bool
    due_at: int | None


def take_due_deliveries(connection: Connection, *, now: int, most: int) -> list[Due]:
    """The deliveries due longest, marked so that no other worker takes them for a while."""
    locking = dialect.lock(connection.dialect.name, skip_locked=True)
    found = connection.execute(
        dialect.sql(
            "SELECT id, url, failures, job_id FROM deliveries WHERE due_at <= :now"
            f" ORDER BY due_at LIMIT :most{locking}"
        ),
        {"now": now, "most": most},
    ).all()
    if not found:
        return []
    connection.execute(
        dialect.sql("UPDATE deliveries SET due_at = :taken WHERE id = :id"),
        [{"taken": now + _TAKEN_MS, "id": row[0]} for row in found],
    )
    wanted = dialect.one_of(connection.dialect.name, "jobs.id")
    told = connection.execute(
        dialect.sql(f"{views.DOCUMENTED} WHERE {wanted}"), {"ids": dialect.to_json([row[3] for row in found])}
    )
    jobs = {row[0]: views.to_found(row) for row in told}
    return [Due(row[0], row[1], row[2], jobs[row[3]]) for row in found if row[3] in jobs]


def record_attempt(connection: Connection, *, attempted: Attempted) -> None:
    """Keep the attempt, and plan the next one or end the delivery."""
    columns = ("delivery_id", "number", "at", "latency_ms", "status", "error", "answer")
    row: dict[str, Any] = {name: getattr(attempted, name) for name in columns}
    # Two workers may have told it at once, when one of them was frozen: the first to say so is kept.
    dialect.insert_many(connection, "delivery_attempts", [row], on_conflict="DO NOTHING")
    ended_state = "delivered" if attempted.is_delivered else "dead"
    connection.execute(
        dialect.sql(
            "UPDATE deliveries SET state = :state, due_at = :due_at, failures = failures + :failed,"
            " finished_at = :finished_at WHERE id = :id"
        ),
        {
            "id": attempted.delivery_id,
            "state": "pending" if attempted.due_at is not None else ended_state,
            "due_at": attempted.due_at,
            "failed": 0 if attempted.is_delivered else 1,
            "finished_at": attempted.at if attempted.due_at is None else None,
        },
    )
