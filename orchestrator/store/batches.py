"""Batches as rows: begun by an upload, opened when it is complete, then paused, resumed, cancelled.

What happens to the jobs of a batch happens in steps (`batch_steps`); these functions change the one
row that says which. Every question is a tenant's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, tallies


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The row of `batches`; the four counters hold its jobs by public state, times in ms."""

    id: str
    tenant_id: str
    name: str
    mode: str
    model: str
    state: str
    created_at: int
    request_hash: str
    idempotency_key: str | None = None
    body_hash: str | None = None
    receiver: str | None = None
    receiver_until: int | None = None
    opened_at: int | None = None
    finished_at: int | None = None
    cancelled_at: int | None = None
    ending: int = 0
    webhook: str | None = None
    webhook_scheme: str | None = None
    created: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    rejected: int = 0
    step: str | None = None
    step_line: int = 0
    step_fingerprint: str | None = None

    @property
    def total(self) -> int:
        """Jobs that are stored."""
        return self.created + self.processing + self.completed + self.failed

    @property
    def has_ended(self) -> bool:
        """All of its jobs have, and none is about to be retried."""
        return self.finished_at is not None and self.step != "retry"

    @property
    def public_state(self) -> str:
        """receiving, running, paused, cancelling, completed or cancelled."""
        if self.state in ("receiving", "discarded"):
            return "receiving" if self.state == "receiving" else "cancelled"
        if self.has_ended:
            return "completed" if self.cancelled_at is None else "cancelled"
        if self.cancelled_at is not None:
            return "cancelling"
        return "paused" if self.state == "paused" else "running"


# As long as a write whose COMMIT was lost may take to be tried again.
_LATELY_MS = 60_000

COLUMNS = ", ".join(Batch.__struct_fields__)

PAUSE = (
    "state = 'paused', step = 'hold', step_line = 0",
    "state = 'open' AND finished_at IS NULL AND cancelled_at IS NULL AND (step IS NULL OR step = 'release')",
)
RESUME = (
    "state = 'open', step = 'release', step_line = 0",
    "state = 'paused' AND finished_at IS NULL AND (step IS NULL OR step = 'hold')",
)
CANCEL = (
    "state = 'cancelling', cancelled_at = :now, step = 'cancel', step_line = 0",
    "state IN ('open', 'paused') AND finished_at IS NULL AND cancelled_at IS NULL",
)
RETRY = (
    "state = 'open', cancelled_at = NULL, step = 'retry', step_line = 0, step_fingerprint = :fingerprint",
    # A batch may have ended while it was paused. What was cancelled on purpose must be asked for by name.
    "(state = 'open' OR state = 'paused' AND finished_at IS NOT NULL) AND step IS NULL AND EXISTS"
    " (SELECT 1 FROM batch_failures WHERE batch_id = batches.id AND count > 0"
    " AND (reason <> 'cancelled' OR fingerprint = :fingerprint))",
)
DISCARD = (
    "state = 'discarded', idempotency_key = NULL, receiver = NULL, step = 'discard', step_line = 0",
    "state = 'receiving'",
)


def start(connection: Connection, *, new: Batch) -> Batch:
    """The batch that this request sends lines to: its own new one, or that of an earlier request with its
    Idempotency-Key, taken over where nobody sends lines to it any more (`receiver` tells).
    """
    batch = None
    while batch is None:  # again where the other one is given up between the two statements
        dialect.insert_many(connection, "batches", [_row(new)], on_conflict="DO NOTHING")
        if new.idempotency_key is None:
            return new
        batch = _lock_by_key(connection, new.tenant_id, new.idempotency_key)
    is_free = batch.receiver is None or (batch.receiver_until or 0) <= new.created_at
    if batch.state != "receiving" or batch.request_hash != new.request_hash or not is_free:
        return batch
    taken = {"receiver": new.receiver, "receiver_until": new.receiver_until}
    connection.execute(
        dialect.sql(
            "UPDATE batches SET receiver = :receiver, receiver_until = :receiver_until WHERE id = :id"
        ),
        taken | {"id": batch.id},
    )
    return msgspec.structs.replace(batch, **taken)


def _lock_by_key(connection: Connection, tenant_id: str, key: str) -> Batch | None:
    locking = dialect.lock(connection.dialect.name)
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE tenant_id = :tenant AND idempotency_key = :key{locking}"
        ),
        {"tenant": tenant_id, "key": key},
    ).first()
    return _to_batch(found) if found else None


def open_received(
    connection: Connection, *, batch_id: str, receiver: str, body_hash: str, now: int
) -> Batch | None:
    """All lines are here: its jobs are released from now on. None when another request has taken over."""
    found = connection.execute(
        dialect.sql(
            "UPDATE batches SET state = 'open', opened_at = :now, receiver = NULL, receiver_until = NULL,"
            " body_hash = :body_hash, step = 'release', step_line = 0, rejected ="
            " (SELECT count(*) FROM rejected_lines WHERE batch_id = :id)"
            f" WHERE id = :id AND receiver = :receiver AND state = 'receiving' RETURNING {COLUMNS}"
        ),
        {"id": batch_id, "receiver": receiver, "body_hash": body_hash, "now": now},
    ).first()
    if found is None:
        return _opened_before(connection, batch_id, body_hash, now)
    batch = _to_batch(found)
    # Deadlines may have passed while it was received.
    has_open_jobs = batch.created + batch.processing > 0
    tallies.settle(connection, batch.id, has_open_jobs=has_open_jobs, finished_at=None, now=now)
    return batch if has_open_jobs else msgspec.structs.replace(batch, finished_at=now)


def give_up(connection: Connection, *, batch_id: str, receiver: str) -> None:
    """The upload cannot become a batch: delete what is stored, unless another request has taken over."""
    connection.execute(
        dialect.sql(
            f"UPDATE batches SET {DISCARD[0]} WHERE {DISCARD[1]} AND id = :id AND receiver = :receiver"
        ),
        {"id": batch_id, "receiver": receiver},
    )


def leave_all(connection: Connection) -> None:
    """For a process that knows itself alone: whoever sent lines was one of its past life."""
    connection.execute(
        dialect.sql("UPDATE batches SET receiver = NULL, receiver_until = NULL WHERE receiver IS NOT NULL")
    )


def _opened_before(connection: Connection, batch_id: str, body_hash: str, now: int) -> Batch | None:
    """The batch, if this very body has opened it a moment ago and only the answer was lost."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE id = :id AND body_hash = :body_hash AND opened_at > :lately"
        ),
        {"id": batch_id, "body_hash": body_hash, "lately": now - _LATELY_MS},
    ).first()
    return _to_batch(found) if found else None


def leave(connection: Connection, *, batch_id: str, receiver: str) -> None:
    """The upload broke off: whoever sends the same again may go on."""
    connection.execute(
        dialect.sql(
            "UPDATE batches SET receiver = NULL, receiver_until = NULL"
            " WHERE id = :id AND receiver = :receiver"
        ),
        {"id": batch_id, "receiver": receiver},
    )


def change(
    connection: Connection,
    *,
    order: tuple[str, str],
    batch_id: str,
    tenant_id: str,
    now: int,
    fingerprint: str | None = None,
) -> Batch | None:
    """Carry out one of the orders above; None when the batch is not in a state for it."""
    changes, condition = order
    found = connection.execute(
        dialect.sql(
            f"UPDATE batches SET {changes} WHERE id = :id AND tenant_id = :tenant AND {condition}"
            f" RETURNING {COLUMNS}"
        ),
        {"id": batch_id, "tenant": tenant_id}
        | ({"now": now} if ":now" in changes else {})
        | ({"fingerprint": fingerprint} if ":fingerprint" in changes else {}),
    ).first()
    return _to_batch(found) if found else None


def find(connection: Connection, *, tenant_id: str, batch_id: str) -> Batch | None:
    """None for an unknown id, another tenant's, and a batch that was given up before it was complete."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE id = :id AND tenant_id = :tenant AND state <> 'discarded'"
        ),
        {"id": batch_id, "tenant": tenant_id},
    ).first()
    return _to_batch(found) if found else None


def find_by_key(connection: Connection, *, tenant_id: str, key: str) -> Batch | None:
    """The batch that this Idempotency-Key stands for."""
    found = connection.execute(
        dialect.sql(f"SELECT {COLUMNS} FROM batches WHERE tenant_id = :tenant AND idempotency_key = :key"),
        {"tenant": tenant_id, "key": key},
    ).first()
    return _to_batch(found) if found else None


def newest(connection: Connection, *, tenant_id: str, before_id: str | None, most: int) -> list[Batch]:
    """Newest first."""
    cursor = "" if before_id is None else " AND id < :before"
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE tenant_id = :tenant AND state <> 'discarded'{cursor}"
            " ORDER BY id DESC LIMIT :most"
        ),
        {"tenant": tenant_id, "most": most} | ({} if before_id is None else {"before": before_id}),
    )
    return [_to_batch(row) for row in found]


def states(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """The states of these batches, for a claim that must not send what is paused."""
    if not ids:
        return {}
    wanted = dialect.one_of(connection.dialect.name, "id")
    found = connection.execute(
        dialect.sql(f"SELECT id, state FROM batches WHERE {wanted}"), {"ids": dialect.to_json(sorted(ids))}
    )
    return {row[0]: row[1] for row in found}


def discard_abandoned(connection: Connection, *, begun_before: int, now: int) -> None:
    """Give up uploads that nobody has gone on with."""
    connection.execute(
        dialect.sql(
            f"UPDATE batches SET {DISCARD[0]} WHERE {DISCARD[1]} AND created_at < :before"
            " AND (receiver IS NULL OR receiver_until < :now)"
        ),
        {"before": begun_before, "now": now},
    )


def discard_empty(connection: Connection, *, ended_before: int) -> None:
    """Drop batches that ended long ago and whose jobs have all been deleted since."""
    connection.execute(
        dialect.sql(
            f"UPDATE batches SET {DISCARD[0]} WHERE finished_at < :before"
            " AND created + processing + completed + failed = 0 AND state <> 'discarded'"
        ),
        {"before": ended_before},
    )


def forget_keys(connection: Connection, *, before: int) -> None:
    """An Idempotency-Key stands for its batch for as long as for a job."""
    connection.execute(
        dialect.sql(
            "UPDATE batches SET idempotency_key = NULL"
            " WHERE idempotency_key IS NOT NULL AND created_at < :before AND state <> 'receiving'"
        ),
        {"before": before},
    )


def _row(batch: Batch) -> dict[str, Any]:
    return msgspec.structs.asdict(batch)


def _to_batch(row: Any) -> Batch:
    """`row` holds COLUMNS in their order."""
    return Batch(**dict(zip(Batch.__struct_fields__, row, strict=True)))
