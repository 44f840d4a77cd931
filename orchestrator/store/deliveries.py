"""Deliveries to the users' webhooks and endpoints: taken to be attempted, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from orchestrator.job import Ending, Job, Phase
from orchestrator.store import dialect, endpoint_queue, endpoints, rows
from orchestrator.store.endpoints import Endpoint

TAKEN_MS = 30_000
"""For so long nobody else takes a delivery that is being attempted."""


class JobEnd(msgspec.Struct, frozen=True):
    """The job's end as it was then, whatever became of the job."""

    job: Job
    ending: Ending
    input: str
    """The JSON text that was sent."""


class BatchEnd(msgspec.Struct, frozen=True):
    """The batch's end as it was then, times in ms; `failures` grouped by kind, most frequent first."""

    id: str
    name: str
    mode: str
    model: str
    is_cancelled: bool
    created_at: int
    opened_at: int | None
    finished_at: int
    completed: int
    failed: int
    rejected: int
    failures: list[dict[str, Any]]


class Notice(msgspec.Struct, frozen=True):
    """What is neither a job's nor a batch's, as JSON text."""

    data: msgspec.Raw


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery to attempt now; `number` is this attempt's, `failures` what the schedule counts. `endpoint`
    is the one that it goes to; None for the webhook of a single job or batch.
    """

    id: str
    url: str
    host: str
    failures: int
    number: int
    tenant_id: str
    event: str
    scheme: str
    created_at: int
    endpoint: Endpoint | None
    told: JobEnd | BatchEnd | Notice


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one attempt: `status` is None when there was no HTTP answer; `due_at` is None when
    the delivery has ended, `is_delivered` then says how.
    """

    delivery_id: str
    number: int
    at: int
    latency_ms: int
    status: int | None
    error: str | None
    answer: str
    is_delivered: bool
    due_at: int | None
    endpoint: Endpoint | None = None


def pending(
    identifier: str,
    tenant_id: str,
    url: str,
    *,
    event: str,
    scheme: str,
    now: int,
    endpoint_id: str | None = None,
) -> dict[str, Any]:
    """The columns that every new delivery has, whatever it tells."""
    return {
        "id": identifier,
        "tenant_id": tenant_id,
        "endpoint_id": endpoint_id,
        "event": event,
        "scheme": scheme,
        "url": url,
        "host": host_of(url),
        "state": "pending",
        "created_at": now,
        "due_at": now,
    }


def host_of(url: str) -> str:
    """With the port: those who share it wait for each other."""
    return urlsplit(url).netloc.lower()


def take_deliveries(connection: Connection, *, ids: Sequence[str], now: int) -> list[Due]:
    """Those of them that are still due, marked so that no other worker takes them for a while. What was to go
    to the former URL of an endpoint only gets the present one here, and is taken with the others of its host.
    """
    name = connection.dialect.name
    found = connection.execute(
        dialect.sql(
            "SELECT id, url, host, failures, tenant_id, event, scheme, created_at, endpoint_id, job_id,"
            " batch_id, phase, ending,"
            " 1 + coalesce((SELECT max(number) FROM delivery_attempts WHERE delivery_id = deliveries.id), 0)"
            f" AS number FROM deliveries WHERE due_at <= :now AND {dialect.one_of(name, 'id')}"
            " ORDER BY due_at" + dialect.lock(name, skip_locked=True)
        ),
        {"now": now, "ids": dialect.to_json(list(ids))},
    ).all()
    if not found:
        return []
    known = _endpoints_of(connection, found, now)
    ready = [row for row in found if not row.endpoint_id or _has_its_url(row, known)]
    if not ready:
        return []
    connection.execute(
        dialect.sql("UPDATE deliveries SET due_at = :taken WHERE id = :id"),
        [{"taken": now + TAKEN_MS, "id": row.id} for row in ready],
    )
    jobs = rows.read_jobs(connection, [row.job_id for row in ready if row.job_id])
    inputs = rows.read_inputs(connection, jobs)
    return [_due(row, jobs, inputs, known) for row in ready if row.job_id in (None, *jobs)]


def _endpoints_of(connection: Connection, found: Sequence[Any], now: int) -> dict[str, Endpoint]:
    """Where they go. What an endpoint was to get that has been disabled or removed ends here, unless it did
    so then; and what was to go to a former URL is led on.
    """
    wanted = {row.endpoint_id for row in found if row.endpoint_id}
    known = endpoints.enabled(connection, wanted) if wanted else {}
    astray: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in found:
        if row.endpoint_id and not _has_its_url(row, known):
            astray[row.endpoint_id, row.host].append(row.id)
    for (endpoint_id, host), ids in sorted(astray.items()):
        if endpoint_id in known:
            to = (known[endpoint_id].url, known[endpoint_id].host)
            endpoint_queue.lead_on(connection, endpoint_id, host=host, to=to, also=ids)
        else:
            because = "the endpoint was disabled or removed"
            endpoint_queue.end(connection, endpoint_id, host=host, because=because, now=now, also=ids)
    return known


def _has_its_url(row: Any, known: Mapping[str, Endpoint]) -> bool:
    endpoint = known.get(row.endpoint_id)
    return endpoint is not None and endpoint.url == row.url


def _due(row: Any, jobs: Mapping[str, Job], inputs: Mapping[str, str], known: Mapping[str, Endpoint]) -> Due:
    return Due(
        id=row.id,
        url=row.url,
        host=row.host,
        failures=row.failures,
        number=row.number,
        tenant_id=row.tenant_id,
        event=row.event,
        scheme=row.scheme,
        created_at=row.created_at,
        endpoint=known.get(row.endpoint_id),
        told=_told(row, jobs, inputs),
    )


def _told(row: Any, jobs: Mapping[str, Job], inputs: Mapping[str, str]) -> JobEnd | BatchEnd | Notice:
    if row.batch_id is not None:
        return msgspec.json.decode(row.ending, type=BatchEnd)
    if row.job_id is None:
        return Notice(msgspec.Raw(row.ending.encode()))
    then = replace(jobs[row.job_id], phase=Phase(row.phase))
    return JobEnd(then, msgspec.json.decode(row.ending, type=Ending), inputs[row.job_id])


def record_attempt(connection: Connection, *, attempted: Attempted) -> bool:
    """Keep the attempt, and plan the next one or end the delivery.

    Two workers may have made the same attempt, when one of them was frozen: the first to say so is
    believed, and what the other says changes nothing: False then.
    """
    if not _keep(connection, attempted):
        return False
    ended_state = "delivered" if attempted.is_delivered else "dead"
    connection.execute(
        dialect.sql(
            "UPDATE deliveries SET state = :state, due_at = :due_at, failures = failures + :failed,"
            " finished_at = :finished_at, because = NULL WHERE id = :id AND "
            # What was heard was heard, although the endpoint was disabled meanwhile.
            + ("state <> 'delivered'" if attempted.is_delivered else "state = 'pending'")
        ),
        {
            "id": attempted.delivery_id,
            "state": "pending" if attempted.due_at is not None else ended_state,
            "due_at": attempted.due_at,
            "failed": 0 if attempted.is_delivered else 1,
            "finished_at": attempted.at if attempted.due_at is None else None,
        },
    )
    return True


def _keep(connection: Connection, attempted: Attempted) -> bool:
    """Nothing is kept where the delivery was deleted meanwhile: its row is locked, so that it still is there
    when the attempt is.
    """
    columns = ("number", "at", "latency_ms", "status", "error", "answer")
    there = "SELECT id FROM deliveries WHERE id = :id" + dialect.lock(connection.dialect.name)
    kept = connection.execute(
        dialect.sql(
            f"INSERT INTO delivery_attempts (delivery_id, {', '.join(columns)})"
            f" SELECT id, {', '.join(f':{name}' for name in columns)} FROM ({there}) AS there WHERE TRUE"
            " ON CONFLICT DO NOTHING"
        ),
        {"id": attempted.delivery_id} | {name: getattr(attempted, name) for name in columns},
    )
    return kept.rowcount == 1
