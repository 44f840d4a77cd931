"""The one door: applies a group of decided changes to jobs in one transaction.

Jobs are locked in the order of their ids, each change's pure `decide` sees the rows as they are
then, and job, attempt, event, ending, delivery and lane change together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from orchestrator.decision import Applied, Audited, Decide, LaneSignal
from orchestrator.job import Attempt, Job, Phase
from orchestrator.lifecycle import Move
from orchestrator.store import dialect, lane_signals, lanes, many_rows, outbox, rows, tallies
from orchestrator.store.tallies import Pair


class Seen(msgspec.Struct, frozen=True):
    """A callback for the inbox: `verdict` is the signature's."""

    verdict: str
    excerpt: str


class Change(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One change to one job. `event_id` is made before the first try, so that a retry after a lost
    COMMIT finds its own event and knows that it was applied.
    """

    job_id: str
    decide: Decide
    source: str
    event_id: str
    attempt: int | None = None
    """The attempt that the evidence speaks of; None means the job's newest."""
    tenant_id: str | None = None
    """Whose job it must be; None for the system's own changes."""
    callback: Seen | None = None


class Uncounted(NamedTuple):
    """What was applied, and what of it the counters of batches do not know yet."""

    results: list[Applied | None]
    pairs: list[Pair]
    endings: list[Move]


class _Group:
    """The working set of one transaction: rows as they were, rows as they become, and the rest."""

    def __init__(self, jobs: dict[str, Job], attempts: dict[tuple[str, int], Attempt]) -> None:
        self.before = dict(jobs)
        self.jobs = jobs
        self.attempts_before = dict(attempts)
        self.attempts = attempts
        self.events: list[rows.Event] = []
        self.endings: list[Move] = []
        self.signals: list[tuple[str, LaneSignal]] = []
        self.audit: list[dict[str, Any]] = []

    def decide(self, change: Change, now: int) -> Applied | None:
        job = self.jobs.get(change.job_id)
        if job is None or change.tenant_id not in (None, job.tenant_id):
            return None
        key = (job.id, job.attempt if change.attempt is None else change.attempt)
        decision = change.decide(job, self.attempts.get(key))
        if decision.attempt is not None and decision.attempt != self.attempts.get(key):
            self.attempts[key] = decision.attempt
        self.signals.extend((job.lane_id, signal) for signal in decision.signals)
        if decision.audited is not None:
            self._audit(decision.audited, change, job, now)
        after = decision.job or job
        if decision.move is not None:
            after = decision.move.after
            self._move(decision.move, change, now)
        self.jobs[job.id] = after
        return Applied(note=decision.note, job=after, move=decision.move)

    def _move(self, move: Move, change: Change, now: int) -> None:
        self.events.append(rows.event_row(move, event_id=change.event_id, now=now, source=change.source))
        if move.ending is not None:
            self.endings.append(move)

    def _audit(self, audited: Audited, change: Change, job: Job, now: int) -> None:
        """The line has the change's own id, so that it is written once."""
        line = {"id": change.event_id, "tenant_id": job.tenant_id, "at": now, "object": job.id}
        self.audit.append(line | {"actor": audited.actor, "action": audited.action})


def apply_changes(
    connection: Connection, changes: Sequence[Change], *, now: int, is_retry: bool
) -> list[Applied | None]:
    """One result per change, in order; None where the job is unknown (or another tenant's)."""
    done = apply_uncounted(connection, changes, now=now, is_retry=is_retry)
    tallies.count(connection, done.pairs, endings=done.endings, now=now)
    return done.results


def apply_uncounted(
    connection: Connection,
    changes: Sequence[Change],
    *,
    now: int,
    is_retry: bool,
    late: Sequence[Job] = (),
) -> Uncounted:
    """The same but for the counters of batches, for a caller that has more to count before it ends.

    It will make the `late` jobs: their shares are locked and opened again together with those of the moves.
    """
    jobs = rows.lock_jobs(connection, (change.job_id for change in changes))
    done = _applied_before(connection, changes) if is_retry else frozenset()
    keys = [
        (change.job_id, jobs[change.job_id].attempt if change.attempt is None else change.attempt)
        for change in changes
        if change.job_id in jobs and (change.attempt or jobs[change.job_id].attempt)
    ]
    group = _Group(jobs, rows.read_attempts(connection, keys))
    results = [
        Applied(note="applied", job=group.jobs[change.job_id])
        if change.event_id in done
        else group.decide(change, now)
        for change in changes
    ]
    pairs = _write(connection, group, now, late)
    fresh = [change for change in changes if change.job_id in jobs and change.event_id not in done]
    _record_callbacks(connection, fresh, now)
    return Uncounted(results, pairs, group.endings)


def _applied_before(connection: Connection, changes: Sequence[Change]) -> frozenset[str]:
    source = dialect.incoming(connection.dialect.name, {"job_id": "text", "id": "text"})
    wanted = [{"job_id": change.job_id, "id": change.event_id} for change in changes]
    found = connection.execute(
        dialect.sql(
            f"SELECT events.id FROM {source} JOIN events ON events.job_id = m.job_id AND events.id = m.id"
        ),
        {"rows": dialect.to_json(wanted)},
    )
    return frozenset(row[0] for row in found)


def _write(connection: Connection, group: _Group, now: int, late: Sequence[Job]) -> list[Pair]:
    changed: list[tuple[Job, Job]] = [
        (before, group.jobs[job_id])
        for job_id, before in group.before.items()
        if group.jobs[job_id] is not before
    ]
    rows.write_jobs(connection, changed)
    rows.write_attempts(
        connection,
        [
            (before, group.attempts[key])
            for key, before in group.attempts_before.items()
            if group.attempts[key] is not before
        ],
    )
    _reopen_attempts(connection, group)
    rows.insert_events(connection, group.events)
    many_rows.insert_many(connection, "audit", group.audit, on_conflict="DO NOTHING")
    _write_endings(connection, group.endings)
    outbox.tell_jobs(connection, group.endings, now=now)
    # Lanes before shares, as a claim locks them; and batches after both, when they are counted.
    lane_signals.apply_signals(connection, group.signals, now)
    ready = [after for _, after in changed if after.phase == Phase.READY]
    lanes.reopen(connection, [*ready, *late])
    return list(changed)


def _reopen_attempts(connection: Connection, group: _Group) -> None:
    """An attempt that had ended and is open again takes a slot again, however old it is."""
    reopened = [
        group.attempts[key]
        for key, before in group.attempts_before.items()
        if before.ended_at is not None and group.attempts[key].ended_at is None
    ]
    for attempt in sorted(reopened, key=lambda attempt: attempt.account_id):
        dialect.run(
            connection,
            # Written even where nothing changes: that waits for a claim under way, which would otherwise
            # raise `open_from` past this attempt without having counted it.
            "UPDATE accounts SET open_from ="
            " CASE WHEN open_from > :claimed_at THEN :claimed_at ELSE open_from END WHERE id = :id",
            {"claimed_at": attempt.claimed_at, "id": attempt.account_id},
        )


def _write_endings(connection: Connection, endings: Sequence[Move]) -> None:
    # A job may end twice in one group: failed, then completed by a late success.
    last = {move.after.id: move.ending for move in endings}
    many_rows.update_many(
        connection,
        "documents",
        [(job_id, dialect.to_json(ending)) for job_id, ending in last.items()],
        where={"job_id": "text"},
        changes={"ending": "text"},
    )


def _record_callbacks(connection: Connection, changes: Sequence[Change], now: int) -> None:
    """The inbox: one row per attempt and verdict, counting what came."""
    seen: dict[tuple[str, int | None, str], dict[str, Any]] = {}
    for change in changes:
        if change.callback is None:
            continue
        key = (change.job_id, change.attempt, change.callback.verdict)
        first = {
            "job_id": change.job_id,
            "attempt": change.attempt,
            "verdict": change.callback.verdict,
            "first_at": now,
            "last_at": now,
            "count": 0,
            "excerpt": change.callback.excerpt,
        }
        seen.setdefault(key, first)["count"] += 1
    counted = (
        "(job_id, attempt, verdict) DO UPDATE"
        " SET count = callbacks.count + excluded.count, last_at = excluded.last_at"
    )
    many_rows.insert_many(connection, "callbacks", list(seen.values()), on_conflict=counted)
