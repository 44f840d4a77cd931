"""The lines of a batch: stored in pieces as they arrive, known when they arrive again, read in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.job import Job, public_state
from orchestrator.store import creation, dialect, many_rows, rows, views
from orchestrator.store.creation import Creation
from orchestrator.store.views import Found


class Rejected(msgspec.Struct, frozen=True):
    """A line that makes no job, and why; `field` is "" where it is the line as such."""

    line: int
    custom_id: str | None
    field: str
    message: str


class ReceiverGone(Exception):
    """The batch was taken over, cancelled or swept while its lines still came: nothing was stored now."""


def insert(
    connection: Connection,
    *,
    batch_id: str,
    receiver: str,
    receiver_until: int,
    accepted: Sequence[Creation],
    rejected: Sequence[Rejected],
) -> None:
    """Store a piece of the upload whole or, raising ReceiverGone, not at all."""
    creation.insert(connection, accepted, frozenset())
    told = [{"batch_id": batch_id} | msgspec.structs.asdict(one) for one in rejected]
    many_rows.insert_many(connection, "rejected_lines", told, on_conflict="DO NOTHING")
    # The batch's row comes last, as everywhere: its lock is held for the shortest time.
    kept = connection.execute(
        dialect.sql(
            "UPDATE batches SET receiver_until = :until, created = created + :created"
            " WHERE id = :id AND receiver = :receiver AND state = 'receiving'"
        ),
        {"id": batch_id, "receiver": receiver, "until": receiver_until, "created": len(accepted)},
    )
    if kept.rowcount != 1:
        raise ReceiverGone


class Stored(msgspec.Struct, frozen=True):
    """What an earlier upload has brought of some lines."""

    jobs: dict[int, Job]
    rejected: list[int]


def stored(connection: Connection, *, batch_id: str, first: int, last: int) -> Stored:
    """The lines from `first` to `last` that are stored."""
    values = {"batch": batch_id, "first": first, "last": last}
    found = connection.execute(
        dialect.sql(
            f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE batch_id = :batch AND line BETWEEN :first AND :last"
        ),
        values,
    )
    jobs = [rows.to_job(row) for row in found]
    rejected = connection.execute(
        dialect.sql(
            "SELECT line FROM rejected_lines WHERE batch_id = :batch AND line BETWEEN :first AND :last"
        ),
        values,
    )
    by_line = {job.line: job for job in jobs if job.line is not None}
    return Stored(by_line, [row[0] for row in rejected])


def last_line(connection: Connection, *, batch_id: str) -> int:
    """The last line that is stored, good or bad; 0 when there is none."""
    of_both = "SELECT max(line) AS line FROM {} WHERE batch_id = :batch"
    found = connection.execute(
        dialect.sql(
            f"SELECT max(line) FROM ({of_both.format('jobs')} UNION ALL"
            f" {of_both.format('rejected_lines')}) AS both_kinds"
        ),
        {"batch": batch_id},
    )
    return int(found.scalar() or 0)


def read_rejected(
    connection: Connection, *, batch_id: str, after: int = 0, most: int | None = None
) -> list[Rejected]:
    """Those after this line, in the order of the lines."""
    found = connection.execute(
        dialect.sql(
            "SELECT line, custom_id, field, message FROM rejected_lines"
            " WHERE batch_id = :batch AND line > :after ORDER BY line"
            + ("" if most is None else " LIMIT :most")
        ),
        {"batch": batch_id, "after": after} | ({} if most is None else {"most": most}),
    )
    return [Rejected(*row) for row in found]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of a batch: `state` is public, `after` the last line that was read, `until` the last one
    that is looked at.
    """

    batch_id: str
    after: int = 0
    until: int | None = None
    most: int = 100
    state: str | None = None
    fingerprint: str | None = None
    custom_id: str | None = None
    with_input: bool = False


def read(connection: Connection, *, wanted: Wanted) -> list[Found]:
    """In the order of the lines. The caller has made sure that the batch is the tenant's."""
    conditions = ["jobs.batch_id = :batch", "jobs.line > :after"]
    values: dict[str, Any] = {"batch": wanted.batch_id, "after": wanted.after, "most": wanted.most}
    if wanted.until is not None:
        conditions.append("jobs.line <= :until")
        values["until"] = wanted.until
    if wanted.state is not None:
        conditions.append(views.STATES.get(wanted.state, "1 = 0"))
    if wanted.fingerprint is not None:
        conditions.append("jobs.fingerprint = :fingerprint")
        values["fingerprint"] = wanted.fingerprint
    if wanted.custom_id is not None:
        conditions.append("jobs.custom_id = :custom_id")
        values["custom_id"] = wanted.custom_id
    found = connection.execute(
        dialect.sql(
            f"{views.documented(with_input=wanted.with_input)} WHERE {' AND '.join(conditions)}"
            " ORDER BY jobs.line LIMIT :most"
        ),
        values,
    )
    return [views.to_found(row) for row in found]


def counters(connection: Connection, *, batch_id: str) -> Counter[str]:
    """What a count of its jobs gives: the counters of the batch must always say the same."""
    found = connection.execute(
        dialect.sql("SELECT phase, attempt FROM jobs WHERE batch_id = :batch"), {"batch": batch_id}
    )
    return Counter(public_state(row[0], row[1]) for row in found)
