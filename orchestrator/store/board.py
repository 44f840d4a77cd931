"""What the dashboard's first page asks: how old the oldest of each phase is, and what waits for a person.

Every question is answered from an index and reads few rows, however many jobs there are. `tenant_id` None
means all tenants.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import DAY, HOUR, SECOND
from orchestrator.ids import id_time
from orchestrator.store import batches, dialect, endpoints, job_search, lanes, processes, series, tallies
from orchestrator.store.batches import Batch
from orchestrator.store.delivery_search import OVERDUE_MS, Overdue, overdue
from orchestrator.store.endpoints import Endpoint
from orchestrator.store.job_filter import JobFilter
from orchestrator.store.job_search import Listed
from orchestrator.store.series import Wanted

COUNTED_UP_TO = 1_000
"""Counts of what waits for a person end here: more of it is no other news."""

_ENDED = ("completed", "failed", "reason_cancelled")
_RESULTS, _BATCHES, _FAILING = 12, 20, 5
SILENT_AFTER_MS = 15 * SECOND
"""A process that has not reported for so long is not counted on."""


class Seen(msgspec.Struct, frozen=True):
    """What the troubles are told from."""

    dead: int
    in_doubt: int
    dead_deliveries: int
    workers: int
    waiting_since: int | None
    ready_since: int | None
    in_doubt_since: int | None = None
    overdue: Overdue = Overdue(0, None)
    failing: list[Endpoint] = msgspec.field(default_factory=list)


class FirstPage(msgspec.Struct, frozen=True):
    """Everything that one look reads from the database."""

    phases: Counter[str]
    oldest: dict[str, int]
    held: int
    day: dict[str, dict[int, int]]
    dwell: dict[str, Counter[int]]
    trend: dict[str, dict[int, int]]
    totals: dict[int, Counter[int]]
    seen: Seen
    accounts: list[lanes.Account]
    newest: list[Listed]
    batches: list[Batch]
    cancelled: Counter[str] = msgspec.field(default_factory=Counter)
    """Of the failed jobs of these batches."""


def first_page(
    connection: Connection, *, tenant_id: str | None, span: str, since: int, now: int
) -> FirstPage:
    """Everything of the first page; its charts begin at `since`."""
    found_oldest = oldest(connection, tenant_id=tenant_id, now=now)
    by_lane = series.stages(connection, tenant_id=tenant_id).values()
    day = Wanted(
        span="hour",
        since=now - now % HOUR - DAY + HOUR,
        names=("created", *_ENDED),
        tenant_id=tenant_id,
    )
    charted = Wanted(span=span, since=since, names=_ENDED, tenant_id=tenant_id)
    running = [
        one
        for one in batches.newest(connection, tenant_id=tenant_id, before_id=None, most=_BATCHES)
        if not one.has_ended
    ]
    return FirstPage(
        phases=sum(by_lane, Counter()),
        oldest=found_oldest,
        held=batches_held(connection, tenant_id=tenant_id),
        day=series.over_time(connection, wanted=day),
        dwell=series.times(connection, wanted=msgspec.structs.replace(day, names=("wait", "submit", "run"))),
        trend=series.over_time(connection, wanted=charted),
        totals=series.times_over_time(connection, wanted=msgspec.structs.replace(charted, names=("total",))),
        seen=see(connection, tenant_id=tenant_id, oldest=found_oldest, now=now),
        accounts=lanes.read_accounts(connection),
        newest=job_search.read_page(
            connection, wanted=JobFilter(phase="completed"), owner=tenant_id, before="", most=_RESULTS
        ).items,
        batches=running,
        cancelled=tallies.cancelled(connection, [one.id for one in running]),
    )


def see(connection: Connection, *, tenant_id: str | None, oldest: dict[str, int], now: int) -> Seen:
    running = processes.running(connection)
    return Seen(
        dead=dead_letters(connection, tenant_id=tenant_id),
        in_doubt=held_in_doubt(connection, tenant_id=tenant_id),
        dead_deliveries=dead_deliveries(connection, since=now - DAY, tenant_id=tenant_id),
        workers=sum(one.kind != "serve" and one.seen_at > now - SILENT_AFTER_MS for one in running),
        waiting_since=oldest.get("waiting"),
        ready_since=oldest.get("ready"),
        in_doubt_since=_oldest_in_doubt(connection, tenant_id),
        overdue=overdue(connection, now=now, tenant_id=tenant_id, most=COUNTED_UP_TO),
        failing=endpoints.failing(connection, before=now - OVERDUE_MS, tenant_id=tenant_id, most=_FAILING),
    )


def oldest(connection: Connection, *, tenant_id: str | None, now: int) -> dict[str, int]:
    """Since when the oldest of each phase is there, in ms; a waiting one since it was due, or now."""
    found = _oldest_at_provider(connection, tenant_id)
    ready = _oldest_ready(connection, tenant_id)
    if ready is not None:
        found["ready"] = ready
    due = _first_due(connection, tenant_id, now)
    if due is not None or _has_waiting(connection, tenant_id):
        found["waiting"] = now if due is None else due
    return found


def dead_letters(connection: Connection, *, tenant_id: str | None) -> int:
    """Failed jobs that nobody cancelled, dismissed or redrove; at most COUNTED_UP_TO."""
    condition, values = _of(tenant_id, "tenant_id")
    return _counted(
        connection,
        "jobs WHERE phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL" + condition,
        values,
    )


def held_in_doubt(connection: Connection, *, tenant_id: str | None) -> int:
    """Jobs that a person must decide."""
    condition, values = _of(tenant_id, "tenant_id")
    return _counted(connection, f"jobs WHERE held_for = 'doubt'{condition}", values)


def dead_deliveries(connection: Connection, *, since: int, tenant_id: str | None) -> int:
    """Deliveries that were given up since then."""
    condition, values = _of(tenant_id, "tenant_id")
    return _counted(
        connection,
        f"deliveries WHERE state = 'dead' AND finished_at >= :since{condition}",
        values | {"since": since},
    )


def batches_held(connection: Connection, *, tenant_id: str | None) -> int:
    """Jobs of batches that are being received or are paused, by the batches' own counters."""
    condition, values = _of(tenant_id, "tenant_id")
    found = connection.execute(
        dialect.sql(
            "SELECT sum(created) FROM batches WHERE finished_at IS NULL AND state IN ('receiving', 'paused')"
            + condition
        ),
        values,
    )
    return int(found.scalar() or 0)


def _oldest_ready(connection: Connection, tenant_id: str | None) -> int | None:
    condition, values = _of(tenant_id, "s.tenant_id")
    first = (
        "SELECT min(j.id) FROM jobs j WHERE j.phase = 'ready' AND j.lane_id = s.lane_id"
        " AND j.tenant_id = s.tenant_id AND j.priority = s.priority AND j.id >= s.ready_from"
    )
    found = connection.execute(
        dialect.sql(
            f"SELECT min(first_id) FROM"
            f" (SELECT ({first}) AS first_id FROM shares s WHERE 1 = 1{condition}) AS f"
        ),
        values,
    ).scalar()
    # It may have been stored long ago and be ready since a moment: redriven, released, or due only now.
    return None if found is None else _last_moved(connection, found)


def _oldest_in_doubt(connection: Connection, tenant_id: str | None) -> int | None:
    """Since when the job that was stored first waits for a person."""
    condition, values = _of(tenant_id, "tenant_id")
    found = connection.execute(
        dialect.sql(f"SELECT id FROM jobs WHERE held_for = 'doubt'{condition} ORDER BY id LIMIT 1"), values
    ).scalar()
    return None if found is None else _last_moved(connection, found)


def _last_moved(connection: Connection, job_id: str) -> int:
    since = connection.execute(dialect.sql("SELECT max(at) FROM events WHERE job_id = :id"), {"id": job_id})
    return since.scalar() or id_time(job_id)


def _first_due(connection: Connection, tenant_id: str | None, now: int) -> int | None:
    """Of those that are due: a backlog with deadlines has as many times as jobs."""
    # Given the column itself, SQLite would take the index of all jobs that the tenant ever had.
    condition, values = _of(tenant_id, "coalesce(tenant_id, '')")
    return connection.execute(
        dialect.sql(
            f"SELECT due_at FROM jobs WHERE due_at <= :now AND phase = 'waiting'{condition}"
            " ORDER BY due_at LIMIT 1"
        ),
        values | {"now": now},
    ).scalar()


def _has_waiting(connection: Connection, tenant_id: str | None) -> bool:
    """As far as the stages have been counted."""
    condition, values = _of(tenant_id, "tenant_id")
    found = connection.execute(
        dialect.sql(f"SELECT 1 FROM stages WHERE phase = 'waiting' AND count > 0{condition} LIMIT 1"), values
    )
    return found.first() is not None


def _oldest_at_provider(connection: Connection, tenant_id: str | None) -> dict[str, int]:
    condition, values = _of(tenant_id, "j.tenant_id")
    found = connection.execute(
        dialect.sql(
            "SELECT j.phase, min(a.claimed_at) FROM attempts a"
            " JOIN jobs j ON j.id = a.job_id AND j.attempt = a.number"
            f" WHERE a.ended_at IS NULL AND j.finished_at IS NULL{condition} GROUP BY j.phase"
        ),
        values,
    )
    return {row[0]: row[1] for row in found if row[0] != "held"}


def _counted(connection: Connection, rows: str, values: dict[str, Any]) -> int:
    found = connection.execute(
        dialect.sql(f"SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {COUNTED_UP_TO}) AS found"), values
    )
    return int(found.scalar_one())


def _of(tenant_id: str | None, column: str) -> tuple[str, dict[str, Any]]:
    return ("", {}) if tenant_id is None else (f" AND {column} = :tenant", {"tenant": tenant_id})
