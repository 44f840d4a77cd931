"""The one place that deletes: ended jobs with all their rows, in small steps, and old idempotency keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from orchestrator.ids import first_id_at, new_id
from orchestrator.job import Job
from orchestrator.store import dialect, figures, looks, many_rows, rows, tallies

DELETED_TASK = "delete task"
"""In `audit`: the provider's task of a job that was deleted, so that no job in doubt takes it for its own."""
_ROWS_OF_A_JOB = ("documents", "attempts", "events", "callbacks")
# What SQLite deletes of documents in some 20 ms, in which nobody else has the event loop.
_SIZE_AT_A_TIME = 2_000_000
# So many old jobs are looked at for those of them that may go.
_LOOKED_THROUGH = 10_000


def as_many_as_fit(connection: Connection, ids: Sequence[str]) -> Sequence[str]:
    """The first of these jobs, as many as can be deleted at a time for the size of their documents; at least
    one.
    """
    name = connection.dialect.name
    size = " + ".join(f"coalesce({dialect.size(name, column)}, 0)" for column in ("d.input", "d.ending"))
    wanted = dialect.incoming(name, {"id": "text"})
    left = _SIZE_AT_A_TIME
    # SQLite reads a document when its row is asked for, so none of those behind.
    with connection.execute(
        dialect.sql(f"SELECT {size} FROM {wanted} LEFT JOIN documents d ON d.job_id = m.id"),
        {"rows": dialect.to_json([{"id": job_id} for job_id in ids])},
    ) as sizes:
        for place, row in enumerate(sizes):
            left -= row[0]
            if left < 0:
                return ids[: max(place, 1)]
    return ids


class DeletedByHand(NamedTuple):
    """How many jobs were deleted, and how many of the ids were done with."""

    jobs: int
    ids: int


def delete_by_hand(
    connection: Connection, *, tenant_id: str, ids: Sequence[str], actor: str, now: int
) -> DeletedByHand:
    """Delete those of the tenant's jobs that have ended, each with a line in the audit, as many as fit."""
    ids = as_many_as_fit(connection, ids)
    deleted = delete_jobs(connection, tenant_id=tenant_id, ids=ids, actor=actor, now=now)
    _record(connection, "delete", deleted, tenant_id=tenant_id, actor=actor, now=now)
    return DeletedByHand(len(deleted), len(ids))


def delete_jobs(
    connection: Connection, *, tenant_id: str, ids: Sequence[str], actor: str, now: int
) -> list[str]:
    """Delete those of the tenant's jobs that have ended; answers which."""
    deleted = delete_uncounted(connection, tenant_id=tenant_id, ids=ids, actor=actor, now=now)
    tallies.count(connection, [(job, None) for job in deleted], now=now)
    return [job.id for job in deleted]


def delete_uncounted(
    connection: Connection, *, tenant_id: str, ids: Sequence[str], actor: str, now: int
) -> list[Job]:
    """The same but for the counters of batches, for a caller that has more to count before it ends."""
    wanted = dialect.one_of(connection.dialect.name, "id")
    found = connection.execute(
        dialect.sql(
            f"SELECT {rows.JOB_COLUMNS} FROM jobs"
            f" WHERE {wanted} AND tenant_id = :tenant AND finished_at IS NOT NULL"
            # A task that may still run at the provider keeps its slot, and its id stays known.
            " AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_id = jobs.id AND ended_at IS NULL)"
            f" ORDER BY id{dialect.lock(connection.dialect.name)}"
        ),
        {"ids": dialect.to_json(list(ids)), "tenant": tenant_id},
    )
    deleted = [rows.to_job(row) for row in found]
    deleted_ids = [job.id for job in deleted]
    tasks = _tasks_of(connection, deleted_ids)
    _record(connection, DELETED_TASK, tasks, tenant_id=tenant_id, actor=actor, now=now)
    _delete(connection, deleted_ids)
    return deleted


class Deleted(NamedTuple):
    """How many jobs were deleted, and when those ended that are to be looked at next; None after the last."""

    jobs: int
    ended_from: int | None


def delete_old(connection: Connection, *, ended_from: int, ended_before: int, most: int) -> Deleted:
    """Delete jobs that ended in that time, oldest first; at most so many, and as many as fit.

    Those of a batch stay, for its totals and its results, until it has ended that long ago, and those whose
    webhook is still to be told: `ended_from` keeps the next call from walking over them again, and no call
    walks over more than some thousands.
    """
    ended_until = _look_until(connection, ended_from, ended_before)
    locking = dialect.lock(connection.dialect.name, skip_locked=True)
    found = connection.execute(
        dialect.sql(
            "SELECT id, finished_at FROM jobs WHERE finished_at >= :since AND finished_at < :until"
            " AND (batch_id IS NULL OR EXISTS"
            " (SELECT 1 FROM batches WHERE id = jobs.batch_id AND finished_at < :before))"
            " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE job_id = jobs.id AND state = 'pending')"
            f" ORDER BY finished_at LIMIT :most{locking}"
        ),
        {"since": ended_from, "until": ended_until, "before": ended_before, "most": most},
    ).all()
    fitting = as_many_as_fit(connection, [row[0] for row in found])
    count = _delete_counted(connection, fitting, ended_before)
    if count < len(found) or len(found) == most:
        return Deleted(count, found[count - 1][1])
    return Deleted(count, ended_until if ended_until < ended_before else None)


def _look_until(connection: Connection, ended_from: int, ended_before: int) -> int:
    """When those ended that this look leaves to the next."""
    edge = looks.edge(
        connection,
        rows="jobs WHERE finished_at >= :since AND finished_at < :before",
        order="finished_at",
        values={"since": ended_from, "before": ended_before},
        most=_LOOKED_THROUGH,
        is_newest_first=False,
    )
    return ended_before if edge is None else int(edge) + 1


def delete_of_batch(connection: Connection, *, batch_id: str, most: int) -> int:
    """Delete jobs of a batch that was given up before any of them was released; answers how many."""
    found = connection.execute(
        dialect.sql(
            "SELECT id FROM jobs WHERE batch_id = :batch ORDER BY line LIMIT :most"
            + dialect.lock(connection.dialect.name)
        ),
        {"batch": batch_id, "most": most},
    )
    return _delete(connection, as_many_as_fit(connection, [row[0] for row in found]))


def delete_old_keys(connection: Connection, *, before: int, most: int) -> int:
    """Forget Idempotency-Keys that were first used before then; `most` of them when there may be more."""
    forgotten = connection.execute(
        dialect.sql(
            "DELETE FROM idempotency_keys WHERE (tenant_id, key) IN (SELECT tenant_id, key"
            " FROM idempotency_keys WHERE created_at < :before ORDER BY created_at LIMIT :most)"
        ),
        {"before": before, "most": most},
    )
    return forgotten.rowcount


def _delete_counted(connection: Connection, ids: Sequence[str], now: int) -> int:
    """Delete jobs that the counters of their batches still count."""
    jobs = rows.read_jobs(connection, ids) if ids else {}
    deleted = _delete(connection, ids)
    tallies.count(connection, [(job, None) for job in jobs.values()], now=now)
    return deleted


def delete_old_memories(connection: Connection, *, before: int) -> None:
    """Forget the tasks of jobs that were deleted before then: nobody is in doubt about them any more."""
    connection.execute(
        dialect.sql(f"DELETE FROM audit WHERE id < :before AND action = '{DELETED_TASK}'"),
        {"before": first_id_at(before)},
    )


def delete_old_notices(connection: Connection, *, ended_before: int) -> None:
    """Delete deliveries that tell of no job and no batch, and would stay for ever."""
    old = "job_id IS NULL AND batch_id IS NULL AND finished_at < :before"
    for statement in (
        f"DELETE FROM delivery_attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE {old})",
        f"DELETE FROM deliveries WHERE {old}",
    ):
        connection.execute(dialect.sql(statement), {"before": ended_before})


def _tasks_of(connection: Connection, ids: Sequence[str]) -> list[str]:
    wanted = dialect.one_of(connection.dialect.name, "job_id")
    found = connection.execute(
        dialect.sql(f"SELECT provider_id FROM attempts WHERE provider_id IS NOT NULL AND {wanted}"),
        {"ids": dialect.to_json(ids)},
    )
    return [row[0] for row in found]


def _record(
    connection: Connection, action: str, objects: Sequence[str], *, tenant_id: str, actor: str, now: int
) -> None:
    of_all = {"tenant_id": tenant_id, "at": now, "actor": actor, "action": action}
    many_rows.insert_many(
        connection, "audit", [{"id": new_id(now), **of_all, "object": name} for name in objects]
    )


def _delete(connection: Connection, ids: Sequence[str]) -> int:
    if not ids:
        return 0
    figures.count_rest(connection, job_ids=ids)
    values = {"ids": dialect.to_json(ids)}
    name = connection.dialect.name
    told = dialect.one_of(name, "job_id")
    # Deliveries before their attempts: whoever keeps one just now has its delivery's row locked.
    told_of = connection.execute(dialect.sql(f"DELETE FROM deliveries WHERE {told} RETURNING id"), values)
    connection.execute(
        dialect.sql(f"DELETE FROM delivery_attempts WHERE {dialect.one_of(name, 'delivery_id')}"),
        {"ids": dialect.to_json([row[0] for row in told_of])},
    )
    for table in _ROWS_OF_A_JOB:
        connection.execute(dialect.sql(f"DELETE FROM {table} WHERE {told}"), values)
    connection.execute(dialect.sql(f"DELETE FROM jobs WHERE {dialect.one_of(name, 'id')}"), values)
    return len(ids)
