"""Rows of `jobs` and `attempts` as the pure structs, and the grouped statements that write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from msgspec.structs import astuple
from sqlalchemy import Connection

from orchestrator.evidence import Source
from orchestrator.ids import new_id
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.lifecycle import Move
from orchestrator.store import dialect, many_rows
from orchestrator.store.trouble import Overtaken

JOB_COLUMNS = ", ".join(f"jobs.{name}" for name in Job.__struct_fields__)
ATTEMPT_COLUMNS = ", ".join(f"attempts.{name}" for name in Attempt.__struct_fields__)

_PHASES = {str(phase): phase for phase in Phase}
_REASONS: dict[str | None, Reason | None] = {None: None} | {str(reason): reason for reason in Reason}
_SOURCES: dict[str | None, Source | None] = {None: None} | {str(source): source for source in Source}

_PHASE, _REASON = map(Job.__struct_fields__.index, ("phase", "reason"))
_ENDED_BY, _IS_ADOPTED, _IS_SOLO = map(Attempt.__struct_fields__.index, ("ended_by", "is_adopted", "is_solo"))

_JOB_CHANGES = {
    "phase": "text",
    "reason": "text",
    "attempt": "int",
    "tries": "int",
    "ending": "int",
    "lost_leases": "int",
    "due_at": "int",
    "start_by": "int",
    "finish_by": "int",
    "lease_owner": "text",
    "started_at": "int",
    "accepted_at": "int",
    "finished_at": "int",
    "cancel_requested_at": "int",
    "dismissed_at": "int",
    "fingerprint": "text",
    "held_for": "text",
    "answer_lost_at": "int",
    "request_hash": "text",
}
_ATTEMPT_CHANGES = {
    "provider_id": "text",
    "is_adopted": "bool",
    "sent_at": "int",
    "answered_at": "int",
    "ended_at": "int",
    "ended_by": "text",
    "outcome": "text",
    "check_at": "int",
    "checks": "int",
    "empties": "int",
    "excerpt": "text",
    "result": "text",
}

_EVENT_COLUMNS = (
    "id",
    "job_id",
    "tenant_id",
    "at",
    "verb",
    "from_phase",
    "to_phase",
    "attempt",
    "source",
    "because",
)
_BATCH_EVENT_COLUMNS = ("id", "batch_id", *_EVENT_COLUMNS[2:])
Event = tuple[Any, ...]
"""The values of a row of `events`, in the order of its columns."""

_values_of_job: Callable[[Job], tuple[Any, ...]] = attrgetter(*_JOB_CHANGES)
_values_of_attempt: Callable[[Attempt], tuple[Any, ...]] = attrgetter(*_ATTEMPT_CHANGES)
T = TypeVar("T")


class LostRace(Exception):
    """A guarded UPDATE found another state than the one read under lock: a defect of ours."""


def to_job(row: Any) -> Job:
    """`row` begins with JOB_COLUMNS in their order."""
    values = list(row[: len(Job.__struct_fields__)])
    values[_PHASE] = _PHASES[values[_PHASE]]
    values[_REASON] = _REASONS[values[_REASON]]
    return Job(*values)


def to_attempt(row: Any) -> Attempt:
    """`row` begins with ATTEMPT_COLUMNS in their order."""
    values = list(row[: len(Attempt.__struct_fields__)])
    values[_ENDED_BY] = _SOURCES[values[_ENDED_BY]]
    values[_IS_ADOPTED] = bool(values[_IS_ADOPTED])
    values[_IS_SOLO] = bool(values[_IS_SOLO])
    return Attempt(*values)


def lock_jobs(connection: Connection, ids: Iterable[str], *, skip_locked: bool = False) -> dict[str, Job]:
    """Read and lock these jobs, in the order of their ids, so that two groups never wait in a circle."""
    statement = _lock_jobs(connection.dialect.name, skip_locked)
    found = dialect.fetch(connection, statement, {"ids": dialect.to_json(sorted(set(ids)))})
    if not skip_locked and any(row[-1] for row in found):
        raise Overtaken
    return {row[0]: to_job(row) for row in found if not row[-1]}


def read_jobs(connection: Connection, ids: Iterable[str]) -> dict[str, Job]:
    """Read these jobs without locking them."""
    wanted = dialect.one_of(connection.dialect.name, "id")
    statement = f"SELECT {JOB_COLUMNS} FROM jobs WHERE {wanted}"
    found = dialect.fetch(connection, statement, {"ids": dialect.to_json(sorted(set(ids)))})
    return {row[0]: to_job(row) for row in found}


def read_inputs(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The inputs of these jobs, as JSON text."""
    wanted = dialect.one_of(connection.dialect.name, "job_id")
    found = dialect.fetch(
        connection,
        f"SELECT job_id, input FROM documents WHERE {wanted}",
        {"ids": dialect.to_json(list(ids))},
    )
    return {row[0]: row[1] for row in found}


def read_attempts(connection: Connection, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Attempt]:
    """Attempts by (job, number); their job's lock covers them."""
    statement = _read_attempts(connection.dialect.name)
    wanted = frozenset(keys)
    ids, numbers = ({key[place] for key in wanted} for place in (0, 1))
    found = dialect.fetch(
        connection,
        statement,
        {"ids": dialect.to_json(sorted(ids)), "numbers": dialect.to_json(list(numbers))},
    )
    return {(row[0], row[1]): to_attempt(row) for row in found if (row[0], row[1]) in wanted}


def write_jobs(connection: Connection, changes: Sequence[tuple[Job, Job]]) -> None:
    """Write (before, after) pairs, guarded by the attempt and the phase before."""
    ordered = sorted(changes, key=lambda change: change[0].id)
    new = _new_values(ordered, _JOB_CHANGES, _values_of_job)
    if not new:
        return
    guards = [(before.id, before.attempt, before.phase) for before, _ in ordered]
    written = many_rows.update_many(
        connection,
        "jobs",
        list(zip(*zip(*guards, strict=True), *new.values(), strict=True)),
        where={"id": "text", "attempt": "int", "phase": "text"},
        changes={column: _JOB_CHANGES[column] for column in new},
    )
    if written != len(ordered):
        raise LostRace(f"{len(ordered)} jobs locked, {written} written")


def write_attempts(connection: Connection, changes: Sequence[tuple[Attempt, Attempt]]) -> None:
    """Write (before, after) pairs; the locks of their jobs cover them."""
    new = _new_values(changes, _ATTEMPT_CHANGES, _values_of_attempt)
    if not new:
        return
    keys = [(before.job_id, before.number) for before, _ in changes]
    many_rows.update_many(
        connection,
        "attempts",
        list(zip(*zip(*keys, strict=True), *new.values(), strict=True)),
        where={"job_id": "text", "number": "int"},
        changes={column: _ATTEMPT_CHANGES[column] for column in new},
    )


def _new_values(
    changes: Sequence[tuple[T, T]], columns: Iterable[str], values_of: Callable[[T], tuple[Any, ...]]
) -> dict[str, tuple[Any, ...]]:
    """The columns that differ in any of these rows, each with the new values of all of them.

    What is not written need not be sent, and no index on it be looked into.
    """
    old = zip(*(values_of(before) for before, _ in changes), strict=True)
    new = zip(*(values_of(after) for _, after in changes), strict=True)
    return {
        column: after for column, before, after in zip(columns, old, new, strict=False) if before != after
    }


def insert_attempts(connection: Connection, attempts: Sequence[Attempt]) -> None:
    columns = Attempt.__struct_fields__
    many_rows.insert_tuples(connection, "attempts", columns, [astuple(one) for one in attempts])


def event_row(move: Move, *, event_id: str, now: int, source: str) -> Event:
    after = move.after
    return (
        event_id,
        after.id,
        after.tenant_id,
        now,
        move.verb,
        move.before.phase,
        after.phase,
        after.attempt,
        source,
        move.because,
    )


def created_event(job: Job) -> Event:
    """The first event of a new job; it needs no id but the job's, since no other event of that job has it."""
    return (job.id, job.id, job.tenant_id, job.created_at, "create", None, job.phase, 0, "client", "created")


def insert_events(connection: Connection, events: Sequence[Event]) -> None:
    many_rows.insert_tuples(connection, "events", _EVENT_COLUMNS, events, xid=dialect.THIS_XID)


def batch_event(batch_id: str, tenant_id: str, *, state: str, because: str, now: int) -> Event:
    """The end of a batch; `state` is completed or cancelled."""
    return (new_id(now), batch_id, tenant_id, now, "finish", None, state, 0, "system", because)


def insert_batch_events(connection: Connection, events: Sequence[Event]) -> None:
    """Behind the events of all whose jobs were counted before, also of transactions that are younger than
    this one: it holds the batch's row, so that they are through.
    """
    many_rows.insert_tuples(connection, "events", _BATCH_EVENT_COLUMNS, events, xid=dialect.NEWEST_XID)


@cache
def _lock_jobs(name: str, skip_locked: bool) -> str:
    wanted = dialect.one_of(name, "id")
    locking = dialect.lock(name, skip_locked=skip_locked)
    is_ahead = "age(jobs.xmin) < 0" if name == "postgresql" else "0"
    return f"SELECT {JOB_COLUMNS}, {is_ahead} FROM jobs WHERE {wanted} ORDER BY id{locking}"


@cache
def _read_attempts(name: str) -> str:
    """Two lists instead of pairs, since PostgreSQL would make a join of pairs, and read all attempts."""
    jobs, numbers = (
        dialect.one_of(name, "job_id"),
        dialect.one_of(name, "number", bound="numbers", kind="int"),
    )
    return f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE {jobs} AND {numbers}"
