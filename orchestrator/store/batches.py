"""Batches as rows: paused, resumed, cancelled, retried; read and listed.

What happens to the jobs of a batch happens in steps (`batch_steps`); these functions change the one
row that says which. Every question is a tenant's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect


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
        """All of its jobs have; a retry begins by saying that they have not."""
        return self.finished_at is not None

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


COLUMNS = ", ".join(Batch.__struct_fields__)

# A retry goes to its end before its jobs are held or released: claims send nothing of what is paused.
_BUT_RETRY = (
    "step = CASE WHEN step = 'retry' THEN step ELSE '{}' END,"
    " step_line = CASE WHEN step = 'retry' THEN step_line ELSE 0 END"
)
PAUSE = (
    f"state = 'paused', {_BUT_RETRY.format('hold')}",
    "state = 'open' AND finished_at IS NULL AND cancelled_at IS NULL"
    " AND (step IS NULL OR step IN ('release', 'retry'))",
)
RESUME = (
    f"state = 'open', {_BUT_RETRY.format('release')}",
    "state = 'paused' AND finished_at IS NULL AND (step IS NULL OR step IN ('hold', 'retry'))",
)
CANCEL = (
    "state = 'cancelling', cancelled_at = :now, step = 'cancel', step_line = 0",
    "state IN ('open', 'paused') AND finished_at IS NULL AND cancelled_at IS NULL",
)
RETRY = (
    "state = 'open', finished_at = NULL, cancelled_at = NULL,"
    " step = 'retry', step_line = 0, step_fingerprint = :fingerprint",
    # A batch may have ended while it was paused. What was cancelled on purpose must be asked for by name.
    "(state = 'open' OR state = 'paused' AND finished_at IS NOT NULL) AND step IS NULL AND EXISTS"
    " (SELECT 1 FROM batch_failures WHERE batch_id = batches.id AND count > 0"
    " AND (reason <> 'cancelled' OR fingerprint = :fingerprint))",
)
DISCARD = (
    "state = 'discarded', idempotency_key = NULL, receiver = NULL, step = 'discard', step_line = 0",
    "state = 'receiving'",
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
    return to_batch(found) if found else None


def find(connection: Connection, *, tenant_id: str | None, batch_id: str) -> Batch | None:
    """None for an unknown id, another tenant's, and a batch that was given up before it was complete.

    With None as the tenant, whoever's it is.
    """
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = dialect.fetch(
        connection,
        f"SELECT {COLUMNS} FROM batches WHERE id = :id{owned} AND state <> 'discarded'",
        {"id": batch_id} | ({} if tenant_id is None else {"tenant": tenant_id}),
    )
    return to_batch(found[0]) if found else None


def find_by_key(connection: Connection, *, tenant_id: str, key: str) -> Batch | None:
    """The batch that this Idempotency-Key stands for."""
    found = connection.execute(
        dialect.sql(f"SELECT {COLUMNS} FROM batches WHERE tenant_id = :tenant AND idempotency_key = :key"),
        {"tenant": tenant_id, "key": key},
    ).first()
    return to_batch(found) if found else None


def newest_by_keys(connection: Connection, *, tenant_id: str, first: str, last: str) -> Batch | None:
    """Of the batches whose Idempotency-Keys lie from the first to the last, the newest."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE tenant_id = :tenant"
            " AND idempotency_key BETWEEN :first AND :last ORDER BY id DESC LIMIT 1"
        ),
        {"tenant": tenant_id, "first": first, "last": last},
    ).first()
    return to_batch(found) if found else None


def newest(connection: Connection, *, tenant_id: str | None, before_id: str | None, most: int) -> list[Batch]:
    """Newest first; with None as the tenant, of all tenants."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    cursor = "" if before_id is None else " AND id < :before"
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM batches WHERE state <> 'discarded'{owned}{cursor}"
            " ORDER BY id DESC LIMIT :most"
        ),
        {"most": most}
        | ({} if tenant_id is None else {"tenant": tenant_id})
        | ({} if before_id is None else {"before": before_id}),
    )
    return [to_batch(row) for row in found]


def states(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """The states of these batches, for a claim that must not send what is paused."""
    if not ids:
        return {}
    wanted = dialect.one_of(connection.dialect.name, "id")
    found = dialect.fetch(
        connection,
        f"SELECT id, state FROM batches WHERE {wanted}",
        {"ids": dialect.to_json(sorted(ids))},
    )
    return {row[0]: row[1] for row in found}


def discard_empty(connection: Connection, *, ended_before: int) -> None:
    """Drop batches that ended long ago, whose jobs have all been deleted since, and whose end was told; but
    none whose Idempotency-Key is not forgotten yet: the same request would make it, and pay for it, again.
    """
    connection.execute(
        dialect.sql(
            f"UPDATE batches SET {DISCARD[0]} WHERE finished_at < :before"
            " AND created + processing + completed + failed = 0 AND state <> 'discarded'"
            " AND idempotency_key IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE batch_id = batches.id AND state = 'pending')"
        ),
        {"before": ended_before},
    )


def forget_keys(connection: Connection, *, before: int) -> None:
    """An Idempotency-Key stands for its batch for as long as for a job, and at least until that has ended:
    whoever comes back to one that was paused or is due next month makes no second one.
    """
    connection.execute(
        dialect.sql(
            "UPDATE batches SET idempotency_key = NULL"
            " WHERE idempotency_key IS NOT NULL AND created_at < :before AND finished_at IS NOT NULL"
        ),
        {"before": before},
    )


def to_batch(row: Any) -> Batch:
    """`row` holds COLUMNS in their order."""
    return Batch(**dict(zip(Batch.__struct_fields__, row, strict=True)))
