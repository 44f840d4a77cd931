"""Does to the jobs of a batch what its row says, a few lines at a time, so that nobody else notices.

Any worker may do the next step of any batch. The cursor moves on in the transaction that did the
step and only from where it was read, so that two workers never do one step twice.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import Connection

from orchestrator.decision import Applied, Decide
from orchestrator.ids import new_id
from orchestrator.store import dialect, retention, tallies
from orchestrator.store.changes import Change, apply_changes

AT_A_TIME = 200

# A cancelled batch is an open one again: what somebody redrives in it later is theirs to decide. A batch
# that was paused or resumed while it was retried is held or released from its first line on.
_OVER = (
    ", state = CASE WHEN state = 'cancelling' THEN 'open' ELSE state END"
    ", step = CASE WHEN step <> 'retry' THEN NULL WHEN state = 'paused' THEN 'hold'"
    " WHEN EXISTS (SELECT 1 FROM jobs WHERE batch_id = :id AND held_for = 'batch') THEN 'release' END"
)


class Step(msgspec.Struct, frozen=True):
    """What is being done to all jobs of a batch (release, hold, cancel, retry, discard), and how far."""

    batch_id: str
    kind: str
    line: int
    fingerprint: str | None


class StepTaken(Exception):
    """Another worker does or has done this step, or the batch has got another order meanwhile."""


def pending(connection: Connection, *, most: int) -> list[Step]:
    """The next step of each batch that has one."""
    found = connection.execute(
        dialect.sql(
            "SELECT id, step, step_line, step_fingerprint FROM batches"
            " WHERE step IS NOT NULL ORDER BY id LIMIT :most"
        ),
        {"most": most},
    )
    return [Step(*row) for row in found]


def take(
    connection: Connection, *, step: Step, decide_for: Callable[[Step, int], Decide], now: int
) -> list[Applied]:
    """Do one step; raises StepTaken, and nothing was done then."""
    if not dialect.try_lock(connection, f"step of {step.batch_id}"):
        raise StepTaken
    dialect.wait_at_most(connection, dialect.BRIEFLY_MS)
    if step.kind == "discard":
        _discard(connection, step.batch_id)
        return []
    lines = _next_lines(connection, step)
    decide = decide_for(step, now)
    changes = [
        Change(job_id=job_id, decide=decide, source="batch", event_id=new_id(now)) for job_id, _ in lines
    ]
    applied = apply_changes(connection, changes, now=now, is_retry=False) if changes else []
    reached = lines[-1][1] if lines else step.line
    _advance(connection, step, reached, is_over=len(lines) < AT_A_TIME, now=now)
    return [one for one in applied if one is not None]


def _next_lines(connection: Connection, step: Step) -> list[tuple[str, int]]:
    found = connection.execute(
        dialect.sql(
            "SELECT id, line FROM jobs WHERE batch_id = :batch AND line > :line ORDER BY line LIMIT :most"
        ),
        {"batch": step.batch_id, "line": step.line, "most": AT_A_TIME},
    )
    return [(row[0], row[1]) for row in found]


def _advance(connection: Connection, step: Step, reached: int, *, is_over: bool, now: int) -> None:
    moved = connection.execute(
        dialect.sql(
            f"UPDATE batches SET step_line = :reached{_OVER if is_over else ''}"
            " WHERE id = :id AND step = :kind AND step_line = :line"
            " AND coalesce(step_fingerprint, '') = :fingerprint"
            " RETURNING created + processing AS open_jobs, finished_at"
        ),
        {
            "reached": 0 if is_over else reached,
            "id": step.batch_id,
            "kind": step.kind,
            "line": step.line,
            "fingerprint": step.fingerprint or "",
        },
    ).first()
    if moved is None:
        raise StepTaken
    if is_over:
        has_open_jobs = moved.open_jobs > 0
        tallies.settle(
            connection, step.batch_id, has_open_jobs=has_open_jobs, finished_at=moved.finished_at, now=now
        )


def _discard(connection: Connection, batch_id: str) -> None:
    """Delete some of what is left of a batch, and at last the batch itself."""
    if retention.delete_of_batch(connection, batch_id=batch_id, most=AT_A_TIME):
        return
    values = {"batch": batch_id}
    few = "(SELECT line FROM rejected_lines WHERE batch_id = :batch ORDER BY line LIMIT 2000)"
    deleted = connection.execute(
        dialect.sql(f"DELETE FROM rejected_lines WHERE batch_id = :batch AND line IN {few}"), values
    )
    if deleted.rowcount:
        return
    connection.execute(
        dialect.sql(
            "DELETE FROM delivery_attempts WHERE delivery_id IN"
            " (SELECT id FROM deliveries WHERE batch_id = :batch)"
        ),
        values,
    )
    for table in ("deliveries", "batch_failures", "events"):
        connection.execute(dialect.sql(f"DELETE FROM {table} WHERE batch_id = :batch"), values)
    connection.execute(dialect.sql("DELETE FROM batches WHERE id = :batch"), values)
