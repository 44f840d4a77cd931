"""What is read for people and clients; nothing here changes a row. Every question is a tenant's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.job import Attempt, Ending, Job, Phase
from orchestrator.lifecycle import Verb
from orchestrator.store import dialect, rows


class Found(msgspec.Struct, frozen=True):
    """A job with its documents; `ending` is None until it has ended, `input` is "" unless asked for."""

    job: Job
    input: str
    ending: Ending | None


class Event(msgspec.Struct, frozen=True):
    """One move of a job."""

    id: str
    at: int
    verb: str
    from_phase: str | None
    to_phase: str
    attempt: int
    source: str
    because: str


class CallbackSeen(msgspec.Struct, frozen=True):
    """Callbacks of one attempt with one verdict, counted; `excerpt` is kept of what nobody could believe."""

    attempt: int
    verdict: str
    first_at: int
    last_at: int
    count: int
    excerpt: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """A webhook of ours to the user's URL."""

    id: str
    url: str
    state: str
    created_at: int
    due_at: int | None
    failures: int
    finished_at: int | None


class Timeline(msgspec.Struct, frozen=True):
    """All that happened to one job, each list oldest first."""

    events: list[Event]
    attempts: list[Attempt]
    callbacks: list[CallbackSeen]
    deliveries: list[Delivery]


def documented(*, with_input: bool, source: str = "jobs") -> str:
    """An input may have 10 MB: it is read only for those who show it. `source` gives some of the jobs."""
    wanted = "d.input" if with_input else "''"
    return (
        f"SELECT {rows.JOB_COLUMNS}, {wanted} AS input, d.ending"
        f" FROM {source} JOIN documents d ON d.job_id = jobs.id"
    )


STATES = {
    "created": "jobs.finished_at IS NULL AND attempt = 0",
    "processing": "jobs.finished_at IS NULL AND attempt > 0",
    "completed": "phase = 'completed'",
    "failed": "phase = 'failed'",
}


def find_job(
    connection: Connection, *, tenant_id: str | None, job_id: str, with_input: bool = False
) -> Found | None:
    """None for an unknown id and for another tenant's; with None as the tenant, whoever's it is."""
    owned = "" if tenant_id is None else " AND jobs.tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"{documented(with_input=with_input)} WHERE jobs.id = :id{owned}"),
        {"id": job_id} | ({} if tenant_id is None else {"tenant": tenant_id}),
    ).first()
    return to_found(found) if found else None


def list_dead(connection: Connection, *, tenant_id: str, before_id: str | None, most: int) -> list[Found]:
    """Dead letters: failed jobs that nobody cancelled, dismissed or redrove; newest first."""
    cursor = "" if before_id is None else " AND jobs.id < :before"
    found = connection.execute(
        dialect.sql(
            f"{documented(with_input=False)} WHERE jobs.tenant_id = :tenant AND jobs.phase = 'failed'"
            f" AND jobs.reason <> 'cancelled' AND jobs.dismissed_at IS NULL{cursor}"
            " ORDER BY jobs.id DESC LIMIT :most"
        ),
        {"tenant": tenant_id, "most": most} | ({} if before_id is None else {"before": before_id}),
    )
    return [to_found(row) for row in found]


def read_timeline(connection: Connection, *, job: Job) -> Timeline:
    """The caller has made sure that the job is the tenant's."""
    moves = connection.execute(
        dialect.sql(
            "SELECT id, at, verb, from_phase, to_phase, attempt, source, because"
            " FROM events WHERE job_id = :id ORDER BY attempt, seq"
        ),
        {"id": job.id},
    )
    attempts = connection.execute(
        dialect.sql(f"SELECT {rows.ATTEMPT_COLUMNS} FROM attempts WHERE job_id = :id ORDER BY number"),
        {"id": job.id},
    )
    callbacks = connection.execute(
        dialect.sql(
            "SELECT attempt, verdict, first_at, last_at, count, excerpt FROM callbacks"
            " WHERE job_id = :id ORDER BY first_at"
        ),
        {"id": job.id},
    )
    deliveries = connection.execute(
        dialect.sql(
            "SELECT id, url, state, created_at, due_at, failures, finished_at FROM deliveries"
            " WHERE job_id = :id ORDER BY created_at"
        ),
        {"id": job.id},
    )
    return Timeline(
        events=_with_beginning(job, [Event(*row) for row in moves]),
        attempts=[rows.to_attempt(row) for row in attempts],
        callbacks=[CallbackSeen(*row) for row in callbacks],
        deliveries=[Delivery(*row) for row in deliveries],
    )


def _with_beginning(job: Job, events: list[Event]) -> list[Event]:
    """A line of a batch is not told of when it is stored, but its row says when that was."""
    if job.batch_id is None or (events and events[0].verb == Verb.CREATE):
        return events
    created = Event(job.id, job.created_at, Verb.CREATE, None, Phase.HELD, 0, "client", "created")
    return [created, *events]


def ended_among(connection: Connection, *, ids: Sequence[str]) -> list[str]:
    """Those of the jobs that have ended."""
    wanted = dialect.one_of(connection.dialect.name, "id")
    found = connection.execute(
        dialect.sql(f"SELECT id FROM jobs WHERE {wanted} AND phase IN ('completed', 'failed')"),
        {"ids": dialect.to_json(list(ids))},
    )
    return [row[0] for row in found]


def due_jobs(
    connection: Connection, *, now: int, most: int, after: tuple[int, str] = (0, "")
) -> list[tuple[int, str]]:
    """Jobs whose timer has run out, and when it did, longest first; those behind `after`, one of them."""
    found = connection.execute(
        dialect.sql(
            "SELECT due_at, id FROM jobs WHERE due_at BETWEEN :since AND :now"
            " AND (due_at > :since OR id > :id) ORDER BY due_at, id LIMIT :most"
        ),
        {"now": now, "since": after[0], "id": after[1], "most": most},
    )
    return [(row[0], row[1]) for row in found]


def leased_jobs(connection: Connection, *, most: int) -> list[str]:
    """Jobs that some worker has leased."""
    found = connection.execute(
        # A lease has an end, by which the index finds it.
        dialect.sql("SELECT id FROM jobs WHERE phase = 'submitting' AND due_at IS NOT NULL LIMIT :most"),
        {"most": most},
    )
    return [row[0] for row in found]


def read_input(connection: Connection, *, job_id: str) -> str:
    """The job's input as JSON text; the system's own question."""
    found = connection.execute(dialect.sql("SELECT input FROM documents WHERE job_id = :id"), {"id": job_id})
    return str(found.scalar_one())


def count_phases(connection: Connection, *, tenant_id: str) -> dict[str, int]:
    """How many of the tenant's jobs that have not ended are in each phase."""
    found = connection.execute(
        dialect.sql(
            "SELECT phase, count(*) FROM jobs"
            " WHERE tenant_id = :tenant AND finished_at IS NULL GROUP BY phase"
        ),
        {"tenant": tenant_id},
    )
    counts = dict.fromkeys((str(phase) for phase in Phase if phase not in ("completed", "failed")), 0)
    return counts | {row[0]: row[1] for row in found}


def to_found(row: Any) -> Found:
    ending = msgspec.json.decode(row.ending, type=Ending) if row.ending else None
    return Found(rows.to_job(row), row.input, ending)
