"""A batch while its lines come: begun by one request, perhaps gone on with by another, and then opened or
given up. Who may store lines is whoever `receiver` names.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, many_rows, tallies
from orchestrator.store.batches import COLUMNS, DISCARD, Batch, to_batch

# As long as a write whose COMMIT was lost may take to be tried again.
_LATELY_MS = 60_000


def start(connection: Connection, *, new: Batch) -> Batch:
    """The batch that this request sends lines to: its own new one, or that of an earlier request with its
    Idempotency-Key, taken over where nobody sends lines to it any more (`receiver` tells).
    """
    batch = None
    while batch is None:  # again where the other one is given up between the two statements
        many_rows.insert_many(connection, "batches", [msgspec.structs.asdict(new)], on_conflict="DO NOTHING")
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
    return to_batch(found) if found else None


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
    batch = to_batch(found)
    # Deadlines may have passed while it was received.
    has_open_jobs = batch.created + batch.processing > 0
    tallies.settle(connection, batch.id, has_open_jobs=has_open_jobs, finished_at=None, now=now)
    return batch if has_open_jobs else msgspec.structs.replace(batch, finished_at=now)


def _opened_before(connection: Connection, batch_id: str, body_hash: str, now: int) -> Batch | None:
    """The batch, if this very body has opened it a moment ago and only the answer was lost."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE id = :id AND body_hash = :body_hash AND opened_at > :lately"
        ),
        {"id": batch_id, "body_hash": body_hash, "lately": now - _LATELY_MS},
    ).first()
    return to_batch(found) if found else None


def keep(connection: Connection, *, batch_id: str, receiver: str, until: int) -> None:
    """The request still sends: nobody may go on with the batch before then."""
    connection.execute(
        dialect.sql(
            "UPDATE batches SET receiver_until = :until"
            " WHERE id = :id AND receiver = :receiver AND state = 'receiving'"
        ),
        {"id": batch_id, "receiver": receiver, "until": until},
    )


def leave(connection: Connection, *, batch_id: str, receiver: str) -> None:
    """The upload broke off: whoever sends the same again may go on."""
    connection.execute(
        dialect.sql(
            "UPDATE batches SET receiver = NULL, receiver_until = NULL"
            " WHERE id = :id AND receiver = :receiver"
        ),
        {"id": batch_id, "receiver": receiver},
    )


def give_up(connection: Connection, *, batch_id: str, receiver: str) -> None:
    """The upload cannot become a batch: delete what is stored, unless another request has taken over."""
    connection.execute(
        dialect.sql(
            f"UPDATE batches SET {DISCARD[0]} WHERE {DISCARD[1]} AND id = :id AND receiver = :receiver"
        ),
        {"id": batch_id, "receiver": receiver},
    )


def discard_abandoned(connection: Connection, *, begun_before: int, now: int) -> None:
    """Give up uploads that nobody has gone on with, and at once those that nobody can: they have no key."""
    connection.execute(
        dialect.sql(
            f"UPDATE batches SET {DISCARD[0]} WHERE {DISCARD[1]}"
            " AND (created_at < :before OR idempotency_key IS NULL)"
            " AND (receiver IS NULL OR receiver_until < :now)"
        ),
        {"before": begun_before, "now": now},
    )


def leave_all(connection: Connection) -> None:
    """For a process that knows itself alone: whoever sent lines was one of its past life."""
    connection.execute(
        dialect.sql("UPDATE batches SET receiver = NULL, receiver_until = NULL WHERE receiver IS NOT NULL")
    )
