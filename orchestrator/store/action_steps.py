"""Does to the jobs of an action what its row says, a few at a time: any worker the next step of any of them.

The place moves on in the transaction that did the step and only from where it was read, so that two workers
never do one step twice; `batch_steps` does the same for batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from orchestrator.clock import MINUTE, SECOND
from orchestrator.decision import Applied, Decide
from orchestrator.ids import new_ids
from orchestrator.job import Job
from orchestrator.store import dialect, job_search, many_rows, retention, rows, tallies
from orchestrator.store.actions import Action
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.job_filter import JobFilter
from orchestrator.store.job_search import Matching

AT_A_TIME = 200
# How much of its rate an action may catch up with after nobody had worked on it.
_BEHIND_MS = 2 * SECOND


class StepTaken(Exception):
    """Another worker does or has done this step, or the action was stopped meanwhile."""


def take(
    connection: Connection, *, action: Action, decide: Decide, is_done: Callable[[Applied], bool], now: int
) -> list[Applied]:
    """Do the next step; raises StepTaken, and nothing was done then. What `is_done` denies was refused."""
    if not dialect.try_lock(connection, f"step of {action.id}"):
        raise StepTaken
    dialect.wait_at_most(connection, dialect.BRIEFLY_MS)
    step = _next(connection, action, most=AT_A_TIME)
    if action.verb == "delete":
        step = _fitting(connection, action, step)
        applied: list[Applied] = []
        done = _delete(connection, action, step.ids, now)
    else:
        applied = _change(connection, action, step.ids, decide, now)
        touched = [one.job for one in applied if is_done(one)]
        done = len(touched)
        _record(connection, action, touched, now)
    _advance(connection, action, step, done=done, now=now)
    return applied


def _next(connection: Connection, action: Action, *, most: int) -> Matching:
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


def _fitting(connection: Connection, action: Action, step: Matching) -> Matching:
    """The step, or as much of it as can be deleted at a time."""
    count = len(retention.as_many_as_fit(connection, step.ids))
    return step if count == len(step.ids) else _next(connection, action, most=count)


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
    deleted: list[Job] = []
    for tenant_id in sorted({job.tenant_id for job in jobs}):
        of_tenant = [job.id for job in jobs if job.tenant_id == tenant_id]
        deleted += retention.delete_uncounted(
            connection, tenant_id=tenant_id, ids=of_tenant, actor=action.actor, now=now
        )
    # Rows of batches are locked when all has been deleted, in the order of their ids: as changes do.
    tallies.count(connection, [(job, None) for job in deleted], now=now)
    return len(deleted)


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
