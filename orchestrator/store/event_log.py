"""The event log in the order of its commits: every event once, none ever overlooked.

Rows of two transactions that run side by side get their numbers in one order and are committed in
another, so a reader that remembers the greatest number passes over what is committed late. On PostgreSQL
each event therefore carries its transaction's number, and is read only once no older transaction runs:
behind `pg_snapshot_xmin`, nothing new can appear. A transaction that stays open keeps readers waiting as
long as it does (15 s for ours, see `database.py`); one that only reads does not. A transaction that comes to
a job after a younger one begins anew (`Overtaken`), so the moves of a job stand in their order. SQLite has
one writer.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, TextClause

from orchestrator.job import public_state
from orchestrator.store import dialect

WINDOW = 500
"""So many events of all tenants are looked through in one question, whatever it is about."""

CURSOR = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15})")
_HORIZON = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
_XID = {"postgresql": "e.xid", "sqlite": "0"}
_BATCH = "coalesce(e.batch_id, jobs.batch_id)"
_LAST_SEQ = (1 << 60) - 1
# One statement must end within the time that `database.py` gives it.
_ADOPTED_AT_A_TIME = 50_000


class Cursor(NamedTuple):
    """A place in the log: behind every event up to it, before every later one. Cursors can be compared."""

    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.xid:x}-{self.seq:x}"


START = Cursor(0, 0)
"""Before the first event."""


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """One move of a job or, where `job_id` is None, the end of a batch; `at` in ms."""

    cursor: Cursor
    id: str
    job_id: str | None
    batch_id: str | None
    """The batch, or the job's batch."""
    tenant_id: str
    at: int
    verb: str
    from_phase: str | None
    to_phase: str
    attempt: int
    source: str
    because: str

    @property
    def state(self) -> str:
        """The public state of the job, or of the batch, from then on."""
        return public_state(self.to_phase, self.attempt) if self.job_id else self.to_phase


def parse_cursor(text: str) -> Cursor | None:
    """None where the text is no cursor of ours."""
    found = CURSOR.fullmatch(text)
    return None if found is None else Cursor(int(found[1], 16), int(found[2], 16))


def topic(kind: str, identifier: str) -> str:
    """The name under which one listens for a tenant, a batch or a job."""
    return f"{kind}:{identifier}"


EVERYTHING = topic("everything", "")


def topics(event: EventRow) -> list[str]:
    """All names under which one may listen for this event."""
    about = {"tenant": event.tenant_id, "batch": event.batch_id, "job": event.job_id}
    return [EVERYTHING] + [topic(kind, identifier) for kind, identifier in about.items() if identifier]


def newest_cursor(connection: Connection) -> Cursor:
    """Before everything that is still to come, and behind everything that is surely complete."""
    if connection.dialect.name == "postgresql":
        xmin = connection.execute(dialect.sql(f"SELECT {_HORIZON}")).scalar_one()
        return Cursor(int(xmin) - 1, _LAST_SEQ)
    newest = connection.execute(dialect.sql("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'"))
    return Cursor(0, int(newest.scalar() or 0))


def events_after(
    connection: Connection,
    *,
    cursor: Cursor,
    most: int = WINDOW,
    until: Cursor | None = None,
    tenant_id: str | None = None,
    batch_id: str | None = None,
) -> tuple[list[EventRow], Cursor]:
    """Those of the next `most` events that are asked for, and the cursor behind all that was looked through.

    An equal cursor comes back when there is nothing to look through now; a greater one without events only
    says that none of these was asked for. `until` is the last that may be read.
    """
    reached, count = page_end(connection, cursor=cursor, most=most, until=until)
    if count == 0:
        return [], cursor
    name = connection.dialect.name
    conditions = [after(name), not_after(name)]
    if tenant_id is not None:
        conditions.append("e.tenant_id = :tenant")
    if batch_id is not None:
        conditions.append(f"{_BATCH} = :batch")
    values = span(cursor, reached) | {"tenant": tenant_id, "batch": batch_id}
    return _read(connection, conditions, values), reached


def page_end(
    connection: Connection, *, cursor: Cursor, most: int, until: Cursor | None = None
) -> tuple[Cursor, int]:
    """The cursor behind the next `most` events, and how many there are; 0 when there are none now."""
    values = span(cursor, until) | {"most": most}
    end = connection.execute(_page_end(connection.dialect.name), values).first()
    return (cursor, 0) if end is None else (Cursor(int(end[0]), int(end[1])), int(end[2]))


def events_of_job(connection: Connection, *, tenant_id: str, job_id: str, until: Cursor) -> list[EventRow]:
    """All of one job's up to there, oldest first; none where the job is another tenant's."""
    conditions = ["e.job_id = :job", "e.tenant_id = :tenant", not_after(connection.dialect.name)]
    return _read(connection, conditions, span(START, until) | {"job": job_id, "tenant": tenant_id})


def adopt(connection: Connection) -> None:
    """Put a log that another PostgreSQL server wrote, and that came here in a dump, before all that follows.

    Its numbers of transactions may lie ahead of this server's, which nobody reads before they are reached.
    What the follower has counted becomes 0 and the rest 1, and its place lies between the two.
    """
    if connection.dialect.name != "postgresql" or not _is_from_elsewhere(connection):
        return
    place = connection.execute(dialect.sql("SELECT place FROM followers")).scalar()
    counted = (place and parse_cursor(place)) or START
    last = connection.execute(dialect.sql("SELECT max(seq) FROM events")).scalar_one()
    for seq in range(0, last + 1, _ADOPTED_AT_A_TIME):
        connection.execute(
            dialect.sql(
                "UPDATE events SET xid = CASE WHEN xid < :xid OR xid = :xid AND seq <= :seq THEN 0 ELSE 1 END"
                " WHERE seq >= :first AND seq < :next"
            ),
            {"first": seq, "next": seq + _ADOPTED_AT_A_TIME, "xid": counted.xid, "seq": counted.seq},
        )
    connection.execute(
        dialect.sql("UPDATE followers SET place = :place"), {"place": str(Cursor(0, _LAST_SEQ))}
    )


def _is_from_elsewhere(connection: Connection) -> bool:
    next_xid = "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
    found = connection.execute(dialect.sql(f"SELECT 1 FROM events WHERE xid >= {next_xid} LIMIT 1"))
    return found.first() is not None


def span(cursor: Cursor, until: Cursor | None = None) -> dict[str, Any]:
    """The values for `after` and `not_after`; without `until` the log has no end."""
    last = until or Cursor(_LAST_SEQ, _LAST_SEQ)
    return {"xid": cursor.xid, "seq": cursor.seq, "last_xid": last.xid, "last_seq": last.seq}


def after(name: str) -> str:
    """The condition that event `e` stands behind the bound cursor."""
    if name == "sqlite":
        return "e.seq > :seq"
    # The first condition is for the index, which knows nothing of `seq`.
    return "e.xid >= :xid AND (e.xid > :xid OR e.seq > :seq)"


def not_after(name: str) -> str:
    """The condition that event `e` stands at or before the bound end."""
    if name == "sqlite":
        return "e.seq <= :last_seq"
    return "e.xid <= :last_xid AND (e.xid < :last_xid OR e.seq <= :last_seq)"


def _order(name: str) -> str:
    return "e.seq" if name == "sqlite" else "e.xid, e.seq"


@cache
def _page_end(name: str) -> TextClause:
    place = f"{_XID[name]} AS xid, e.seq AS seq"
    behind = "" if name == "sqlite" else f" AND e.xid < {_HORIZON}"
    page = (
        f"SELECT {place} FROM events e WHERE {after(name)} AND {not_after(name)}{behind}"
        f" ORDER BY {_order(name)} LIMIT :most"
    )
    return dialect.sql(
        f"SELECT xid, seq, count(*) OVER () FROM ({page}) AS page ORDER BY xid DESC, seq DESC LIMIT 1"
    )


def _read(connection: Connection, conditions: list[str], values: dict[str, Any]) -> list[EventRow]:
    name = connection.dialect.name
    found = connection.execute(
        dialect.sql(
            f"SELECT {_XID[name]}, e.seq, e.id, e.job_id, {_BATCH}, e.tenant_id, e.at, e.verb, e.from_phase,"
            " e.to_phase, e.attempt, e.source, e.because FROM events e LEFT JOIN jobs ON jobs.id = e.job_id"
            f" WHERE {' AND '.join(conditions)} ORDER BY {_order(name)}"
        ),
        values,
    )
    return [EventRow(Cursor(row[0], row[1]), *row[2:]) for row in found]
