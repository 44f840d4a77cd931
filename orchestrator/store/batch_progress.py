"""How a batch gets on: asked again and again while it runs, at the same cost however large it is."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import to_rfc3339
from orchestrator.store import dialect, tallies
from orchestrator.store.batches import Batch
from orchestrator.store.keys import FIRST_TENANT
from orchestrator.store.lanes import HIDDEN_TROUBLE

_MOST_FAILURES = 100
_SAMPLE = 200
# So many times the usual silence is one in which the batch was paused, or had ended before it was retried.
_LONG_SILENCE = 4
AHEAD_UP_TO = 5_000
"""Jobs that are before a batch's are counted so far."""


class Outlook(msgspec.Struct, frozen=True):
    """`failures` by kind, most frequent first; `by_lane` is how a sample of the jobs divides among the lanes;
    `ahead` how many others of its tenant go before them, at most AHEAD_UP_TO of each lane; `reasons` say why
    its jobs wait, `last_start` until when the last of them is told to, and `worked_ms` how long what
    has ended took; with `is_stopped` nothing more is sent until somebody changes the tenant's limit. All but
    the first are empty unless the batch is running.
    """

    failures: list[dict[str, Any]]
    by_lane: Counter[str]
    ahead: Counter[str]
    reasons: list[str]
    last_start: int = 0
    worked_ms: int = 0
    is_stopped: bool = False


class _OfLane(msgspec.Struct, frozen=True):
    """What the sample has of one lane; `waiting` counts those to be sent, `first_id` is the first ready. Of
    those that have not ended, `first_start` and `last_start` say when they may start at the earliest.
    """

    lane: str
    count: int
    waiting: int
    first_id: str | None
    priority: int | None
    first_start: int | None
    last_start: int | None


def read(connection: Connection, *, batch: Batch, now: int) -> Outlook:
    """A sample of lines all over the batch stands for its jobs, so that a large one costs no more."""
    failures = tallies.failure_groups(connection, batch.id, most=_MOST_FAILURES) if batch.failed else []
    if batch.public_state != "running":
        return Outlook(failures, Counter(), Counter(), [])
    lines = _sampled_lines(connection, batch)
    sample = _sample(connection, batch, lines)
    by_lane = Counter({one.lane: one.count for one in sample})
    waiting = {one.lane: one.waiting for one in sample}
    ahead = Counter({one.lane: _ahead(connection, batch, one) for one in sample})
    # Hardly ever is a lane closed, and seldom do the few that wait for it all stand between the lines.
    reasons = {
        reason
        for lane, reason in _closed(connection, batch.id, by_lane, now)
        if reason and (waiting[lane] or _has_waiting(connection, batch.id, lane))
    }
    first_start = min((one.first_start for one in sample if one.first_start is not None), default=0)
    if first_start > now:
        reasons.add(f"None may start before {to_rfc3339(first_start)}.")
    is_stopped = bool(batch.created or any(waiting.values())) and _may_send_none(connection, batch.tenant_id)
    if is_stopped:
        reasons.add("Its tenant may have no job at the provider (max_in_flight is 0).")
    last_start = max((one.last_start or 0 for one in sample), default=0)
    worked_ms = _worked_ms(connection, batch, lines, now)
    return Outlook(failures, by_lane, ahead, sorted(reasons), last_start, worked_ms, is_stopped)


def _sampled_lines(connection: Connection, batch: Batch) -> list[int]:
    """A line from each part of the file, now one and now another of it: where a job takes two lines of a CSV,
    every second one holds none.
    """
    found = dialect.fetch(
        connection, "SELECT max(line) FROM jobs WHERE batch_id = :batch", {"batch": batch.id}
    )
    last = found[0][0] or 0
    step = -(-last // _SAMPLE) or 1
    return [start + part % step for part, start in enumerate(range(1, last + 1, step))]


def _sample(connection: Connection, batch: Batch, lines: Sequence[int]) -> list[_OfLane]:
    found = dialect.fetch(
        connection,
        "SELECT lane_id, count(*), sum(CASE WHEN phase IN ('ready', 'waiting') THEN 1 ELSE 0 END),"
        " min(CASE WHEN phase = 'ready' THEN id END), max(CASE WHEN phase = 'ready' THEN priority END),"
        " min(CASE WHEN finished_at IS NULL THEN coalesce(not_before, 0) END),"
        " max(CASE WHEN finished_at IS NULL THEN not_before END)"
        " FROM jobs WHERE batch_id = :batch"
        f" AND {dialect.one_of(connection.dialect.name, 'line', kind='int')} GROUP BY lane_id",
        {"batch": batch.id, "ids": dialect.to_json(lines)},
    )
    return [_OfLane(*row) for row in found]


def _worked_ms(connection: Connection, batch: Batch, lines: Sequence[int], now: int) -> int:
    """From when the first of these lines was accepted until now, without the long silences between them.
    Where few lines stand for many jobs silence is usual, and counts.
    """
    spans = dialect.fetch(
        connection,
        "SELECT coalesce(accepted_at, finished_at), finished_at FROM jobs"
        " WHERE batch_id = :batch AND (finished_at IS NOT NULL OR phase = 'accepted')"
        " AND coalesce(accepted_at, finished_at) IS NOT NULL"
        f" AND {dialect.one_of(connection.dialect.name, 'line', kind='int')} ORDER BY 1",
        {"batch": batch.id, "ids": dialect.to_json(lines)},
    )
    return _without_long_silences([(row[0], row[1] or now) for row in spans], now)


def _without_long_silences(spans: Sequence[tuple[int, int]], now: int) -> int:
    """From the first of these to now, in ms; they come in the order in which they begin."""
    if not spans:
        return 0
    worked, reached = 0, spans[0][0]
    silences = []
    for begin, end in [*spans, (now, now)]:
        silences.append(max(0, begin - reached))
        worked += max(0, end - max(begin, reached))
        reached = max(reached, end)
    longest = _LONG_SILENCE * statistics.median_low(silences[1:])
    return worked + sum(min(silence, longest) for silence in silences)


def _ahead(connection: Connection, batch: Batch, sample: _OfLane) -> int:
    """Ready jobs of the same tenant, lane and priority that are older than the first of the batch's."""
    if sample.first_id is None:
        return 0
    found = dialect.fetch(
        connection,
        "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE phase = 'ready' AND lane_id = :lane"
        f" AND tenant_id = :tenant AND priority = :priority AND id < :first LIMIT {AHEAD_UP_TO}) AS found",
        {
            "lane": sample.lane,
            "tenant": batch.tenant_id,
            "priority": sample.priority,
            "first": sample.first_id,
        },
    )
    return int(found[0][0])


def _closed(
    connection: Connection, batch_id: str, lanes: Collection[str], now: int
) -> list[tuple[str, str | None]]:
    """Those of these lanes to which nothing goes, and why.

    What the provider says of the account is for those alone whose account it is.
    """
    found = dialect.fetch(
        connection,
        "SELECT l.id, CASE WHEN a.trouble IS NULL"
        " THEN CASE WHEN l.stopped_until > :now THEN l.stop_reason ELSE l.pause_reason END"
        " WHEN (SELECT t.name FROM batches b JOIN tenants t ON t.id = b.tenant_id"
        " WHERE b.id = :batch) = :first THEN a.trouble ELSE :hidden END"
        " FROM lanes l JOIN accounts a ON a.id = l.account_id"
        " WHERE (a.trouble IS NOT NULL OR l.paused_until > :now OR l.stopped_until > :now)"
        f" AND {dialect.one_of(connection.dialect.name, 'l.id')}",
        {
            "batch": batch_id,
            "now": now,
            "first": FIRST_TENANT,
            "hidden": HIDDEN_TROUBLE,
            "ids": dialect.to_json(sorted(lanes)),
        },
    )
    return [(row[0], row[1]) for row in found]


def _may_send_none(connection: Connection, tenant_id: str) -> bool:
    found = dialect.fetch(
        connection, "SELECT 1 FROM tenants WHERE id = :tenant AND max_in_flight = 0", {"tenant": tenant_id}
    )
    return bool(found)


def _has_waiting(connection: Connection, batch_id: str, lane: str) -> bool:
    """Goes through the whole batch where there is none."""
    found = dialect.fetch(
        connection,
        "SELECT 1 FROM jobs WHERE batch_id = :batch AND lane_id = :lane AND phase IN ('ready', 'waiting')"
        " LIMIT 1",
        {"batch": batch_id, "lane": lane},
    )
    return bool(found)
