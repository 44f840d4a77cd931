"""The counters of batches: kept by delta in the transaction that changes their jobs, never by a count.

Rows of `batches` are locked last of all, after jobs, lanes and shares, in the order of their ids. The
change that ends a batch's last job ends the batch, and writes its delivery.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.job import Job
from orchestrator.lifecycle import Move
from orchestrator.store import deliveries, dialect, many_rows, outbox
from orchestrator.store.rows import batch_event, insert_batch_events
from orchestrator.webhook_events import Event

Pair = tuple[Job | None, Job | None]
"""A job before and after; None where there is no row."""

STATES = ("created", "processing", "completed", "failed")
_MOST_FAILURES_TOLD = 100
_RECEIVED = "state NOT IN ('receiving', 'discarded')"


def count(connection: Connection, pairs: Iterable[Pair], *, endings: Sequence[Move] = (), now: int) -> None:
    """Bring the counters of the jobs' batches up to these changes; `endings` give the words of failures."""
    by_batch: dict[str, list[Pair]] = defaultdict(list)
    for before, after in pairs:
        job = after or before
        if job is not None and job.batch_id is not None:
            by_batch[job.batch_id].append((before, after))
    for batch in sorted(by_batch):
        states = _by_state(by_batch[batch])
        _count_failures(connection, batch, by_batch[batch], endings)
        if any(states.values()):
            add(connection, batch, states, now=now)


def add(connection: Connection, batch: str, states: Counter[str], *, now: int) -> None:
    """Add to the counters of one batch, and end it, or open it again, where that follows."""
    changes = ", ".join(f"{state} = {state} + :{state}" for state in STATES)
    found = dialect.fetch(
        connection,
        f"UPDATE batches SET {changes} WHERE id = :id"
        f" RETURNING {_RECEIVED}, coalesce(step, '') = 'retry', created + processing, finished_at",
        {"id": batch} | {state: states[state] for state in STATES},
    )
    if not found:
        return
    ((is_received, is_being_retried, open_jobs, finished_at),) = found
    if not is_received:
        return
    has_open_jobs = open_jobs > 0
    # The jobs retried so far may all have ended before the others are reached: the last step settles.
    if has_open_jobs or not is_being_retried:
        settle(connection, batch, has_open_jobs=has_open_jobs, finished_at=finished_at, now=now)


def settle(
    connection: Connection, batch: str, *, has_open_jobs: bool, finished_at: int | None, now: int
) -> None:
    """Finish a batch whose last job has ended; unfinish one that has open jobs again."""
    if has_open_jobs and finished_at is not None:
        connection.execute(dialect.sql("UPDATE batches SET finished_at = NULL WHERE id = :id"), {"id": batch})
    if not has_open_jobs and finished_at is None:
        _finish(connection, batch, now)


def failure_groups(connection: Connection, batch: str, *, most: int) -> list[dict[str, Any]]:
    """The batch's failures of a kind: fingerprint, reason, message, count; most frequent first."""
    found = connection.execute(
        dialect.sql(
            "SELECT fingerprint, reason, message, count FROM batch_failures"
            " WHERE batch_id = :batch AND count > 0 ORDER BY count DESC, fingerprint LIMIT :most"
        ),
        {"batch": batch, "most": most},
    )
    return [dict(row._mapping) for row in found]


def to_retry(connection: Connection, *, batch: str, fingerprint: str | None) -> int:
    """How many of its jobs a retry takes: of one kind, or all that nobody has cancelled."""
    wanted = "reason <> 'cancelled'" if fingerprint is None else "fingerprint = :fingerprint"
    found = dialect.fetch(
        connection,
        f"SELECT coalesce(sum(count), 0) FROM batch_failures WHERE batch_id = :batch AND {wanted}",
        {"batch": batch} | ({} if fingerprint is None else {"fingerprint": fingerprint}),
    )
    return int(found[0][0])


def cancelled(connection: Connection, batches: Collection[str]) -> Counter[str]:
    """How many of each batch's failed jobs somebody has cancelled."""
    found = dialect.fetch(
        connection,
        "SELECT batch_id, sum(count) FROM batch_failures WHERE reason = 'cancelled'"
        f" AND {dialect.one_of(connection.dialect.name, 'batch_id')} GROUP BY batch_id",
        {"ids": dialect.to_json(sorted(batches))},
    )
    return Counter({row[0]: int(row[1]) for row in found})


def _by_state(pairs: Sequence[Pair]) -> Counter[str]:
    states: Counter[str] = Counter()
    for before, after in pairs:
        if before is not None:
            states[before.public_state] -= 1
        if after is not None:
            states[after.public_state] += 1
    return states


def _count_failures(
    connection: Connection, batch: str, pairs: Sequence[Pair], endings: Sequence[Move]
) -> None:
    changes: Counter[str] = Counter()
    for before, after in pairs:
        if before is not None and before.fingerprint:
            changes[before.fingerprint] -= 1
        if after is not None and after.fingerprint:
            changes[after.fingerprint] += 1
    told = {move.after.fingerprint: move for move in endings if move.after.batch_id == batch}
    rows = [
        {
            "batch_id": batch,
            "fingerprint": kind,
            "reason": str(told[kind].after.reason) if kind in told else "",
            "message": told[kind].because if kind in told else "",
            "count": more,
        }
        for kind, more in sorted(changes.items())
        if more
    ]
    counted = "(batch_id, fingerprint) DO UPDATE SET count = batch_failures.count + excluded.count"
    many_rows.insert_many(connection, "batch_failures", rows, on_conflict=counted)


def _finish(connection: Connection, batch: str, now: int) -> None:
    row = connection.execute(
        dialect.sql(
            "UPDATE batches SET finished_at = :now, ending = ending + 1,"
            # What is redriven from now on waits for nobody.
            " state = CASE WHEN state = 'paused' THEN 'open' ELSE state END WHERE id = :id"
            " RETURNING tenant_id, name, mode, model, webhook, webhook_scheme, ending, cancelled_at,"
            " created_at, opened_at, completed, failed, rejected"
        ),
        {"id": batch, "now": now},
    ).one()
    ending = batch_event(
        batch,
        row.tenant_id,
        state="completed" if row.cancelled_at is None else "cancelled",
        because=f"{row.completed} completed, {row.failed} failed",
        now=now,
    )
    insert_batch_events(connection, [ending])
    _tell(connection, batch, row, now)


def _tell(connection: Connection, batch: str, row: Any, now: int) -> None:
    """The deliveries of this end, to the batch's own webhook and to the tenant's endpoints."""
    name = f"{batch}-{row.ending}"
    telling = outbox.to_listeners(connection, row.tenant_id, Event.BATCH_COMPLETED, name=name, now=now)
    if row.webhook:
        own = deliveries.pending(
            name,
            row.tenant_id,
            row.webhook,
            event=Event.BATCH_COMPLETED,
            scheme=row.webhook_scheme or outbox.BATCH_SCHEME,
            now=now,
        )
        telling.append(own)
    if not telling:
        return
    told = deliveries.BatchEnd(
        id=batch,
        name=row.name,
        mode=row.mode,
        model=row.model,
        is_cancelled=row.cancelled_at is not None,
        created_at=row.created_at,
        opened_at=row.opened_at,
        finished_at=now,
        completed=row.completed,
        failed=row.failed,
        rejected=row.rejected,
        failures=failure_groups(connection, batch, most=_MOST_FAILURES_TOLD),
    )
    of_it = {"batch_id": batch, "ending": dialect.to_json(told)}
    many_rows.insert_many(connection, "deliveries", [one | of_it for one in telling])
