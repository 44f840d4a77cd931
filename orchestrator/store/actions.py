"""Orders to do something to many jobs, kept as rows: any worker does the next step of any of them.

The place moves on in the transaction that did the step and only from where it was read, so that two workers
never do one step twice; `store/batch_steps.py` does the same for batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import MINUTE, SECOND
from orchestrator.decision import Applied, Decide
from orchestrator.ids import first_id_at, new_ids
from orchestrator.lifecycle import Job
from orchestrator.store import dialect, job_search, many_rows, retention, rows
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.job_filter import JobFilter
from orchestrator.store.job_search import Matching

AT_A_TIME = 200
MOST_IDS = 1_000
VERBS = ("redrive", "cancel", "dismiss", "delete")
# How much of its rate an action may catch up with after nobody had worked on it.
_BEHIND_MS = 2 * SECOND


class Matched(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which jobs: exactly these, or all that the filter matches."""

    ids: tuple[str, ...] = ()
    filter: JobFilter | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """The row. `owner_id` None may touch every tenant's jobs; `expected` None was too many to count."""

    id: str
    tenant_id: str
    owner_id: str | None
    actor: str
    verb: str
    matched: Matched
    up_to: str
    created_at: int
    due_at: int | None
    per_minute: int | None = None
    expected: int | None = None
    place: str = ""
    done: int = 0
    refused: int = 0
    state: str = "running"
    finished_at: int | None = None


class StepTaken(Exception):
    """Another worker does or has done this step, or the action was stopped meanwhile."""


_COLUMNS = ", ".join(Action.__struct_fields__)
_MATCHED = Action.__struct_fields__.index("matched")


def insert(connection: Connection, *, action: Action) -> Action:
    row = msgspec.structs.asdict(action) | {"matched": dialect.to_json(action.matched)}
    many_rows.insert_many(connection, "actions", [row])
    return action


def find(connection: Connection, *, tenant_id: str | None, action_id: str) -> Action | None:
    """None for an unknown id and for another tenant's; with None as the tenant, whoever's it is."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"SELECT {_COLUMNS} FROM actions WHERE id = :id{owned}"),
        {"id": action_id, "tenant": tenant_id},
    ).first()
    return None if found is None else _to_action(found)


def newest(connection: Connection, *, tenant_id: str | None, before: str, most: int) -> list[Action]:
    """Newest first; `before` is the last id of a page, or empty."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    cursor = " AND id < :before" if before else ""
    found = connection.execute(
        dialect.sql(
            f"SELECT {_COLUMNS} FROM actions WHERE 1 = 1{owned}{cursor} ORDER BY id DESC LIMIT :most"
        ),
        {"tenant": tenant_id, "before": before, "most": most},
    )
    return [_to_action(row) for row in found]


def running(connection: Connection, *, tenant_id: str | None, most: int) -> list[Action]:
    """Those under way, that due first first."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(
            f"SELECT {_COLUMNS} FROM actions WHERE due_at IS NOT NULL{owned} ORDER BY due_at LIMIT :most"
        ),
        {"tenant": tenant_id, "most": most},
    )
    return [_to_action(row) for row in found]


def due(connection: Connection, *, now: int, most: int) -> list[Action]:
    """Those whose next step may be done now."""
    found = connection.execute(
        dialect.sql(f"SELECT {_COLUMNS} FROM actions WHERE due_at <= :now ORDER BY due_at LIMIT :most"),
        {"now": now, "most": most},
    )
    return [_to_action(row) for row in found]


def stop(connection: Connection, *, action_id: str, now: int) -> bool:
    """False unless it is running."""
    stopped = connection.execute(
        dialect.sql(
            "UPDATE actions SET state = 'stopped', due_at = NULL, finished_at = :now"
            " WHERE id = :id AND state = 'running'"
        ),
        {"id": action_id, "now": now},
    )
    return stopped.rowcount > 0


def delete_old(connection: Connection, *, ended_before: int) -> None:
    connection.execute(
        dialect.sql("DELETE FROM actions WHERE id < :before AND finished_at < :ended"),
        {"before": first_id_at(ended_before), "ended": ended_before},
    )


def take_step(
    connection: Connection, *, action: Action, decide: Decide, is_done: Callable[[Applied], bool], now: int
) -> list[Applied]:
    """Do the next step; raises StepTaken, and nothing was done then. What `is_done` denies was refused."""
    if not dialect.try_lock(connection, f"step of {action.id}"):
        raise StepTaken
    step = _next(connection, action)
    if action.verb == "delete":
        applied: list[Applied] = []
        done = _delete(connection, action, step.ids, now)
    else:
        applied = _change(connection, action, step.ids, decide, now)
        touched = [one.job for one in applied if is_done(one)]
        done = len(touched)
        _record(connection, action, touched, now)
    _advance(connection, action, step, done=done, now=now)
    return applied


def _next(connection: Connection, action: Action) -> Matching:
    most = AT_A_TIME
    if action.per_minute is not None:
        most = min(most, -(-action.per_minute * SECOND // MINUTE))
    if action.matched.filter is None:
        start = int(action.place or 0)
        ids = action.matched.ids[start : start + most]
        reached = start + len(ids)
        return Matching(list(ids), str(reached), is_over=reached >= len(action.matched.ids))
    return job_search.read_matching(
        connection,
        wanted=action.matched.filter,
        owner=action.owner_id,
        after=action.place,
        up_to=action.up_to,
        most=most,
    )


def _change(
    connection: Connection, action: Action, ids: Sequence[str], decide: Decide, now: int
) -> list[Applied]:
    changes = [
        Change(job_id=job_id, decide=decide, source="operator", event_id=event_id, tenant_id=action.owner_id)
        for job_id, event_id in zip(ids, new_ids(now, len(ids)), strict=True)
    ]
    applied = apply_changes(connection, changes, now=now, is_retry=False) if changes else []
    return [one for one in applied if one is not None]


def _delete(connection: Connection, action: Action, ids: Sequence[str], now: int) -> int:
    """Tenant by tenant, as each of them would."""
    filtered = action.matched.filter or JobFilter()
    # All at once and in order: the first tenant's deletion holds what others wait for.
    jobs = [
        job
        for job in rows.lock_jobs(connection, ids).values()
        if action.owner_id in (None, job.tenant_id) and filtered.is_still_true(job)
    ]
    deleted = 0
    for tenant_id in sorted({job.tenant_id for job in jobs}):
        of_tenant = [job.id for job in jobs if job.tenant_id == tenant_id]
        deleted += retention.delete_jobs(
            connection, tenant_id=tenant_id, ids=of_tenant, actor=action.actor, now=now
        )
    return deleted


def _record(connection: Connection, action: Action, jobs: Sequence[Job], now: int) -> None:
    """A line in the audit for each job, so that its page tells who did it."""
    lines = [
        {
            "id": line_id,
            "tenant_id": job.tenant_id,
            "at": now,
            "actor": action.actor,
            "action": f"{action.verb} (action {action.id})",
            "object": job.id,
        }
        for job, line_id in zip(jobs, new_ids(now, len(jobs)), strict=True)
    ]
    many_rows.insert_many(connection, "audit", lines)


def _advance(connection: Connection, action: Action, step: Matching, *, done: int, now: int) -> None:
    moved = connection.execute(
        dialect.sql(
            "UPDATE actions SET place = :reached, done = done + :done, refused = refused + :refused,"
            " due_at = :due_at, state = :state, finished_at = :finished_at"
            " WHERE id = :id AND place = :place AND state = 'running'"
        ),
        {
            "reached": step.reached,
            "done": done,
            "refused": len(step.ids) - done,
            "due_at": None if step.is_over else _next_due(action, len(step.ids), now),
            "state": "finished" if step.is_over else "running",
            "finished_at": now if step.is_over else None,
            "id": action.id,
            "place": action.place,
        },
    )
    if moved.rowcount == 0:
        raise StepTaken


def _next_due(action: Action, count: int, now: int) -> int:
    if action.per_minute is None:
        return now
    began = max(action.due_at or now, now - _BEHIND_MS)
    return began + count * MINUTE // action.per_minute


def _to_action(row: Any) -> Action:
    values = list(row)
    values[_MATCHED] = msgspec.json.decode(values[_MATCHED], type=Matched)
    return Action(**dict(zip(Action.__struct_fields__, values, strict=True)))
