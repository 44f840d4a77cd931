"""What charts and counters show: figures over time, and how many jobs are in each phase.

They are added up from the event log behind everybody's back, each event once: the cursor moves on in the
transaction that counts. So a job's way costs nothing more, and no page ever counts jobs.

A figure has a name: `created`, `claimed`, `completed`, `failed`, `doubted`, `reason_…` of failures,
`outcome_…` of attempts that were not the last, `found_by_…` of ends (callback, poll, answer, history), and
whatever else a process counts by itself (`flow/reckon.py`). Figures of time (`wait`, `submit`, `run`, and
`total`) have a bucket, see `bucket_of`; others have bucket 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import HOUR, MINUTE
from orchestrator.lifecycle import Phase, Verb
from orchestrator.store import dialect, event_log
from orchestrator.store.event_log import START, EventRow

FOLLOWER = "figures"
SPANS = {"minute": MINUTE, "quarter": 15 * MINUTE, "hour": HOUR}
"""Charts of an hour, a day and a week each read few rows."""
# Phases that jobs pass through in numbers; ended jobs are figures, held ones are their batch's counters.
COUNTED = (Phase.READY, Phase.WAITING, Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED)
_PER_DOUBLING = 4
# What is told of an attempt is counted at these moves.
_OF_ATTEMPTS = frozenset({Verb.ACCEPT, Verb.RETRY, Verb.GIVE_BACK, Verb.COMPLETE, Verb.FAIL})

_Count: TypeAlias = Callable[[str], None]
_Took: TypeAlias = Callable[[str, int], None]


class Key(NamedTuple):
    """What is counted, of which minute or hour the time tells."""

    at: int
    lane_id: str
    tenant_id: str
    name: str
    bucket: int = 0


class _Job(msgspec.Struct, frozen=True, array_like=True):
    lane_id: str
    created_at: int
    reason: str | None


class _Attempt(msgspec.Struct, frozen=True, array_like=True):
    claimed_at: int
    answered_at: int | None
    outcome: str | None
    ended_by: str | None


def bucket_of(ms: int) -> int:
    """The bucket of a duration: four to each doubling, so that a bucket is 19 % wide; 1 ms is bucket 0."""
    return 0 if ms <= 1 else round(math.log2(ms) * _PER_DOUBLING)


def duration_of(bucket: int) -> float:
    """The duration in ms in the middle of a bucket."""
    return float(2 ** (bucket / _PER_DOUBLING))


def follow(connection: Connection, *, most: int) -> int:
    """Count the next `most` events of the log; answers how many; 0 while another process does."""
    cursor = _take_turn(connection)
    if cursor is None:
        return 0
    events, reached = event_log.events_after(connection, cursor=cursor, most=most)
    if reached == cursor:
        return 0
    _count(connection, events)
    connection.execute(
        dialect.sql("UPDATE followers SET place = :place WHERE name = :name"),
        {"name": FOLLOWER, "place": str(reached)},
    )
    return len(events)


def count_rest(connection: Connection, *, job_ids: Sequence[str]) -> None:
    """Count what is not counted yet of jobs that are about to be deleted with their events."""
    cursor = _take_turn(connection, is_waiting=True)
    if cursor is not None:
        _count(connection, event_log.rest_of_jobs(connection, job_ids=job_ids, cursor=cursor))


def add(connection: Connection, counts: Counter[Key]) -> None:
    """Add to the figures of each span; times in ms."""
    for span, size in SPANS.items():
        of_span: Counter[Key] = Counter()
        for key, count in counts.items():
            of_span[key._replace(at=key.at - key.at % size)] += count
        dialect.insert_tuples(
            connection,
            "figures",
            ("span", *Key._fields, "count"),
            [(span, *key, count) for key, count in sorted(of_span.items()) if count],
            on_conflict="(span, name, at, lane_id, tenant_id, bucket)"
            " DO UPDATE SET count = figures.count + excluded.count",
        )


def delete_old(connection: Connection, *, before: Mapping[str, int]) -> None:
    """Forget what is older than these times, by span."""
    for span, oldest in before.items():
        connection.execute(
            dialect.sql("DELETE FROM figures WHERE span = :span AND at < :oldest"),
            {"span": span, "oldest": oldest},
        )


def _take_turn(connection: Connection, *, is_waiting: bool = False) -> event_log.Cursor | None:
    dialect.insert_many(
        connection, "followers", [{"name": FOLLOWER, "place": str(START)}], on_conflict="DO NOTHING"
    )
    mine = dialect.lock(connection.dialect.name, skip_locked=not is_waiting)
    found = connection.execute(
        dialect.sql(f"SELECT place FROM followers WHERE name = :name{mine}"), {"name": FOLLOWER}
    ).scalar()
    return None if found is None else event_log.parse_cursor(found)


def _count(connection: Connection, events: Sequence[EventRow]) -> None:
    events = [event for event in events if _is_counted(event)]
    if not events:
        return
    jobs = _jobs(connection, {event.job_id or "" for event in events})
    attempts = _attempts(connection, {event.job_id or "" for event in events if event.verb in _OF_ATTEMPTS})
    counts: Counter[Key] = Counter()
    stages: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        job = jobs.get(event.job_id or "")
        if job is not None:  # a deleted one had ended, and is in no phase any more
            _count_stages(stages, event, job)
            _count_one(counts, event, job, attempts.get((event.job_id or "", event.attempt)))
    add(connection, counts)
    dialect.insert_tuples(
        connection,
        "stages",
        ("lane_id", "tenant_id", "phase", "count"),
        [(*key, count) for key, count in sorted(stages.items()) if count],
        on_conflict="(lane_id, tenant_id, phase) DO UPDATE SET count = stages.count + excluded.count",
    )


def _is_counted(event: EventRow) -> bool:
    """A line of a batch that is being received is not: it counts when the batch lets it go."""
    return event.job_id is not None and not (event.from_phase is None and event.to_phase == Phase.HELD)


def _count_stages(stages: Counter[tuple[str, str, str]], event: EventRow, job: _Job) -> None:
    if event.from_phase in COUNTED:
        stages[job.lane_id, event.tenant_id, event.from_phase] -= 1
    if event.to_phase in COUNTED:
        stages[job.lane_id, event.tenant_id, event.to_phase] += 1


def _count_one(counts: Counter[Key], event: EventRow, job: _Job, attempt: _Attempt | None) -> None:
    key = Key(event.at, job.lane_id, event.tenant_id, "")

    def count(name: str, by: int = 1) -> None:
        counts[key._replace(name=name)] += by

    def took(name: str, ms: int) -> None:
        counts[key._replace(name=name, bucket=bucket_of(ms))] += 1

    verb = event.verb
    entered = _entered(event)
    if entered:
        count("created", entered)
    if verb == Verb.CLAIM:
        count("claimed")
        if event.attempt == 1:
            took("wait", event.at - job.created_at)
    elif verb == Verb.DOUBT:
        count("doubted")
    elif verb == Verb.ACCEPT and attempt is not None:
        took("submit", event.at - attempt.claimed_at)
    elif verb in (Verb.RETRY, Verb.GIVE_BACK) and attempt is not None:
        count(f"outcome_{attempt.outcome}")
    elif verb in (Verb.COMPLETE, Verb.FAIL):
        _count_end(event, job, attempt, count=count, took=took)


def _count_end(event: EventRow, job: _Job, attempt: _Attempt | None, *, count: _Count, took: _Took) -> None:
    count("completed" if event.verb == Verb.COMPLETE else "failed")
    if event.verb == Verb.FAIL and job.reason is not None:  # it may have been redriven since
        count(f"reason_{job.reason}")
    took("total", event.at - job.created_at)
    if attempt is not None and attempt.ended_by is not None and event.attempt:
        count(f"found_by_{attempt.ended_by}")
        took("run", event.at - (attempt.answered_at or attempt.claimed_at))


def _entered(event: EventRow) -> int:
    """A job counts as created when it may go: one of a batch when the batch lets it."""
    if event.attempt:
        return 0
    if event.to_phase == Phase.HELD:
        return 0 if event.from_phase is None else -1
    return 1 if event.from_phase in (None, Phase.HELD) else 0


def _jobs(connection: Connection, ids: Collection[str]) -> dict[str, _Job]:
    wanted = dialect.one_of(connection.dialect.name, "id")
    found = connection.execute(
        dialect.sql(f"SELECT id, lane_id, created_at, reason FROM jobs WHERE {wanted}"),
        {"ids": dialect.to_json(sorted(ids))},
    )
    return {row[0]: _Job(*row[1:]) for row in found}


def _attempts(connection: Connection, ids: Collection[str]) -> dict[tuple[str, int], _Attempt]:
    wanted = dialect.one_of(connection.dialect.name, "job_id")
    found = connection.execute(
        dialect.sql(
            f"SELECT job_id, number, claimed_at, answered_at, outcome, ended_by FROM attempts WHERE {wanted}"
        ),
        {"ids": dialect.to_json(sorted(ids))},
    )
    return {(row[0], row[1]): _Attempt(*row[2:]) for row in found}
