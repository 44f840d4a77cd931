"""A repeated POST joins the job of the first one, when that one's client went away unanswered.

Old clients give up after ten seconds and send the same request again, up to six times: without this
each would be a job, and paid. Two requests that were both answered stay two jobs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.clock import MINUTE
from orchestrator.job import Job
from orchestrator.store import dialect, many_rows, rows

_JOINABLE_MS = 10 * MINUTE
# A key that no client can send, since it is not printable: what a group whose COMMIT was lost looks for.
_KEY = "\x01joined by {}"

Wanted = tuple[str, str, str]
"""A tenant, the hash of its request, and the id that a new job of it would get."""


def join(connection: Connection, wanted: Sequence[Wanted], *, now: int, is_retry: bool) -> dict[str, Job]:
    """The jobs that these requests join, by the id of the job that each would have made.

    The oldest unanswered job is joined first, and only once: its mark is cleared here.
    """
    if not wanted:
        return {}
    joined = _joined_before(connection, wanted) if is_retry else {}
    unanswered = _lock_unanswered(connection, {request_hash for _, request_hash, _ in wanted}, now)
    taken: list[tuple[str, str, str, str]] = []
    for tenant, request_hash, new_id in wanted:
        waiting = unanswered[tenant, request_hash]
        if waiting and new_id not in joined:
            joined[new_id] = waiting.popleft()
            taken.append((tenant, request_hash, new_id, joined[new_id]))
    if not joined:
        return {}
    _clear(connection, taken, now)
    jobs = rows.read_jobs(connection, joined.values())
    return {new_id: jobs[job_id] for new_id, job_id in joined.items() if job_id in jobs}


def _lock_unanswered(connection: Connection, hashes: set[str], now: int) -> dict[tuple[str, str], deque[str]]:
    wanted = dialect.one_of(connection.dialect.name, "request_hash")
    found = dialect.fetch(
        connection,
        "SELECT id, tenant_id, request_hash FROM jobs WHERE answer_lost_at IS NOT NULL"
        f" AND answer_lost_at > :since AND {wanted} ORDER BY id" + dialect.lock(connection.dialect.name),
        {"since": now - _JOINABLE_MS, "ids": dialect.to_json(sorted(hashes))},
    )
    unanswered: dict[tuple[str, str], deque[str]] = defaultdict(deque)
    for row in found:
        unanswered[row[1], row[2]].append(row[0])
    return unanswered


def _clear(connection: Connection, taken: Sequence[tuple[str, str, str, str]], now: int) -> None:
    many_rows.update_many(
        connection,
        "jobs",
        [(job_id, None) for _, _, _, job_id in taken],
        where={"id": "text"},
        changes={"answer_lost_at": "int"},
    )
    remembered = [
        {
            "tenant_id": tenant,
            "key": _KEY.format(new_id),
            "request_hash": request_hash,
            "job_id": job_id,
            "created_at": now,
        }
        for tenant, request_hash, new_id, job_id in taken
    ]
    many_rows.insert_many(connection, "idempotency_keys", remembered)


def _joined_before(connection: Connection, wanted: Sequence[Wanted]) -> dict[str, str]:
    ids = {_KEY.format(new_id): new_id for _, _, new_id in wanted}
    name = connection.dialect.name
    of_these, of_tenants = dialect.one_of(name, "key"), dialect.one_of(name, "tenant_id", bound="tenants")
    found = connection.execute(
        dialect.sql(f"SELECT key, job_id FROM idempotency_keys WHERE {of_tenants} AND {of_these}"),
        {
            "ids": dialect.to_json(list(ids)),
            "tenants": dialect.to_json(sorted({tenant for tenant, _, _ in wanted})),
        },
    )
    return {ids[row[0]]: row[1] for row in found}
