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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from orchestrator.clock import HOUR, MINUTE
from orchestrator.job import Phase
from orchestrator.lifecycle import Verb
from orchestrator.store import dialect, event_log, many_rows
from orchestrator.store.event_log import START

FOLLOWER = "figures"
EVER = "ever"
SPANS = {"minute": MINUTE, "quarter": 15 * MINUTE, "hour": HOUR, EVER: 10**15}
"""Charts of an hour, a day and a week each read few rows; sums of all time, which begin at 0, still fewer."""
# Phases that jobs pass through in numbers; ended jobs are figures, held ones are their batch's counters.
COUNTED = (Phase.READY, Phase.WAITING, Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED)
_PER_DOUBLING = 4
# What is told of an attempt is counted at these moves.
_OF_ATTEMPTS = ", ".join(
    f"'{verb}'" for verb in (Verb.ACCEPT, Verb.RETRY, Verb.GIVE_BACK, Verb.COMPLETE, Verb.FAIL)
)
# Where the job's age is counted.
_AGED = f"e.verb IN ('{Verb.COMPLETE}', '{Verb.FAIL}') OR (e.verb = '{Verb.CLAIM}' AND e.attempt = 1)"
# A line of a batch that is being received does not count, it does when the batch lets it go; nor does a
# deleted job, which had ended and is in no phase any more. What happens at once is alike for many jobs: the
# database puts it together, which costs less than to hand over each.
_ALIKE = (
    f"e.verb, e.from_phase, e.to_phase, e.attempt, e.tenant_id, e.at - e.at %% {MINUTE}, jobs.lane_id,"
    f" jobs.reason, a.outcome, a.ended_by, CASE WHEN {_AGED} THEN e.at - jobs.created_at END,"
    " e.at - a.claimed_at, e.at - coalesce(a.answered_at, a.claimed_at)"
)
_SEEN = (
    f"SELECT {_ALIKE}, count(*) FROM events e JOIN jobs ON jobs.id = e.job_id"
    f" LEFT JOIN attempts a ON a.job_id = e.job_id AND a.number = e.attempt AND e.verb IN ({_OF_ATTEMPTS})"
    f" WHERE (e.from_phase IS NOT NULL OR e.to_phase <> '{Phase.HELD}') AND %s"
    f" GROUP BY {_ALIKE}"
)
# The names of a span, each found behind the one before: times are in order under each, and so few are read.
_NAMES = (
    "names(name) AS (SELECT min(name) FROM figures WHERE span = :span UNION ALL"
    " SELECT (SELECT min(name) FROM figures WHERE span = :span AND name > names.name)"
    " FROM names WHERE names.name IS NOT NULL)"
)


class Key(NamedTuple):
    """What is counted, of which minute or hour the time tells."""

    at: int
    lane_id: str
    tenant_id: str
    name: str
    bucket: int = 0


class _Seen(NamedTuple):
    """So many events, with what is counted of them, of their jobs and, at the moves that end one, of their
    attempts; times in ms.
    """

    verb: str
    from_phase: str | None
    to_phase: str
    attempt: int
    tenant_id: str
    minute: int
    lane_id: str
    reason: str | None
    outcome: str | None
    ended_by: str | None
    since_created: int | None
    since_claimed: int | None
    since_answered: int | None
    times: int


def bucket_of(ms: int) -> int:
    """The bucket of a duration: four to each doubling, so that a bucket is 19 % wide; 1 ms is bucket 0."""
    return 0 if ms <= 1 else round(math.log2(ms) * _PER_DOUBLING)


def duration_of(bucket: int) -> float:
    """The duration in ms in the middle of a bucket."""
    return float(2 ** (bucket / _PER_DOUBLING))


def follow(connection: Connection, *, most: int) -> int:
    """Count the next `most` events of the log; how many there were, 0 while another process counts."""
    cursor = _take_turn(connection)
    if cursor is None:
        return 0
    reached, count = event_log.page_end(connection, cursor=cursor, most=most)
    if count == 0:
        return 0
    name = connection.dialect.name
    within = f"{event_log.after(name)} AND {event_log.not_after(name)}"
    _count(connection, within, event_log.span(cursor, reached))
    connection.execute(
        dialect.sql("UPDATE followers SET place = :place WHERE name = :name"),
        {"name": FOLLOWER, "place": str(reached)},
    )
    return count


def count_rest(connection: Connection, *, job_ids: Sequence[str]) -> None:
    """Count what is not counted yet of locked jobs that are about to be deleted with their events; also what
    no reader of the log may see yet.
    """
    cursor = _take_turn(connection, is_waiting=True)
    if cursor is not None:
        of_jobs = dialect.one_of(connection.dialect.name, "e.job_id")
        within = f"{of_jobs} AND {event_log.after(connection.dialect.name)}"
        ids = {"ids": dialect.to_json(sorted(job_ids))}
        _count(connection, within, event_log.span(cursor) | ids)


def add(connection: Connection, counts: Counter[Key]) -> None:
    """Add to the figures of each span; times in ms."""
    for span, size in SPANS.items():
        of_span: Counter[Key] = Counter()
        for key, count in counts.items():
            of_span[key._replace(at=key.at - key.at % size)] += count
        many_rows.insert_tuples(
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
            dialect.sql(
                f"WITH RECURSIVE {_NAMES} DELETE FROM figures"
                " WHERE span = :span AND name IN (SELECT name FROM names) AND at < :oldest"
            ),
            {"span": span, "oldest": oldest},
        )


def _take_turn(connection: Connection, *, is_waiting: bool = False) -> event_log.Cursor | None:
    many_rows.insert_many(
        connection, "followers", [{"name": FOLLOWER, "place": str(START)}], on_conflict="DO NOTHING"
    )
    mine = dialect.lock(connection.dialect.name, skip_locked=not is_waiting)
    found = connection.execute(
        dialect.sql(f"SELECT place FROM followers WHERE name = :name{mine}"), {"name": FOLLOWER}
    ).scalar()
    return None if found is None else event_log.parse_cursor(found)


def _count(connection: Connection, within: str, values: Mapping[str, Any]) -> None:
    counts: Counter[Key] = Counter()
    stages: Counter[tuple[str, str, str]] = Counter()
    for row in dialect.fetch(connection, _SEEN % within, values):
        seen = _Seen._make(row)
        if seen.from_phase in COUNTED:
            stages[seen.lane_id, seen.tenant_id, seen.from_phase] -= seen.times
        if seen.to_phase in COUNTED:
            stages[seen.lane_id, seen.tenant_id, seen.to_phase] += seen.times
        for name, by, bucket in _figures_of(seen):
            counts[Key(seen.minute, seen.lane_id, seen.tenant_id, name, bucket)] += by * seen.times
    add(connection, counts)
    many_rows.insert_tuples(
        connection,
        "stages",
        ("lane_id", "tenant_id", "phase", "count"),
        [(*key, count) for key, count in sorted(stages.items()) if count],
        on_conflict="(lane_id, tenant_id, phase) DO UPDATE SET count = stages.count + excluded.count",
    )


def _figures_of(seen: _Seen) -> Iterator[tuple[str, int, int]]:
    """What one event adds: the name, how many, and the bucket."""
    verb = seen.verb
    entered = _entered(seen)
    if entered:
        yield "created", entered, 0
    if verb == Verb.CLAIM:
        yield "claimed", 1, 0
        if seen.attempt == 1:
            yield _took("wait", seen.since_created)
    elif verb == Verb.DOUBT:
        yield "doubted", 1, 0
    elif verb == Verb.ACCEPT and seen.since_claimed is not None:
        yield _took("submit", seen.since_claimed)
    elif verb in (Verb.RETRY, Verb.GIVE_BACK) and seen.since_claimed is not None:
        yield f"outcome_{seen.outcome}", 1, 0
    elif verb in (Verb.COMPLETE, Verb.FAIL):
        yield from _figures_of_end(seen)


def _figures_of_end(seen: _Seen) -> Iterator[tuple[str, int, int]]:
    yield "completed" if seen.verb == Verb.COMPLETE else "failed", 1, 0
    if seen.verb == Verb.FAIL and seen.reason is not None:  # it may have been redriven since
        yield f"reason_{seen.reason}", 1, 0
    yield _took("total", seen.since_created)
    if seen.since_claimed is not None and seen.ended_by is not None and seen.attempt:
        yield f"found_by_{seen.ended_by}", 1, 0
        yield _took("run", seen.since_answered)


def _took(name: str, ms: int | None) -> tuple[str, int, int]:
    return name, 1, bucket_of(ms or 0)


def _entered(seen: _Seen) -> int:
    """A job counts as created when it may go: one of a batch when the batch lets it."""
    if seen.attempt:
        return 0
    if seen.to_phase == Phase.HELD:
        return -1
    return 1 if seen.from_phase in (None, Phase.HELD) else 0
