"""Stores new jobs, a group of requests in one transaction, each under its Idempotency-Key if it has one."""

from __future__ import annotations

from collections.abc import Sequence, Set

import msgspec
from sqlalchemy import Connection

from orchestrator.job import Job
from orchestrator.store import idempotency, joining, lanes, many_rows, quotas, rows
from orchestrator.store.idempotency import Idempotency, Name, Once
from orchestrator.store.lanes import Share, share_of


class Creation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One job to store, with its input as the JSON text that will be sent."""

    job: Job
    input: str
    idempotency: Idempotency | None = None
    may_join: str | None = None
    """The hash of the request, when it may join a job whose client never got its answer."""


class Created(msgspec.Struct, frozen=True, gc=False):
    """`job` is the stored one; `is_replay` says that the key was used before for the same request,
    `is_conflict` that it was used for another one, `is_joined` that the job is that of an earlier request
    whose answer was lost.
    """

    job: Job
    is_replay: bool = False
    is_conflict: bool = False
    is_gone: bool = False
    """The key stands for a job that was deleted since."""
    is_joined: bool = False
    is_full: bool = False
    """Not stored: the tenant has as much as it may."""


def apply_creations(
    connection: Connection,
    creations: Sequence[Creation],
    *,
    now: int,
    known_shares: Set[Share],
    is_retry: bool,
) -> list[Created]:
    """One result per creation, in order. `known_shares` are there already."""
    known = _keys_in_use(connection, creations)
    wanted = [(c.job.tenant_id, c.may_join, c.job.id) for c in creations if c.may_join is not None]
    joined = joining.join(connection, wanted, now=now, is_retry=is_retry)
    there = rows.read_jobs(connection, (c.job.id for c in creations)) if is_retry else {}
    results: list[Created | None] = [None] * len(creations)
    fresh: list[Creation] = []
    for place, creation in enumerate(creations):
        used = known.get(_key_of(creation))
        if creation.job.id in there:
            results[place] = Created(there[creation.job.id])
        elif creation.job.id in joined:
            results[place] = Created(joined[creation.job.id], is_joined=True)
        elif used is None or used[1] == creation.job.id:
            if creation.idempotency is not None:
                known[_key_of(creation)] = (creation.idempotency.request_hash, creation.job.id)
            fresh.append(creation)
            results[place] = Created(creation.job)
    full = _without_room(connection, fresh)
    insert(connection, [one for one in fresh if one.job.id not in full], known_shares)
    results = [
        Created(one.job, is_full=True) if one is not None and one.job.id in full else one for one in results
    ]
    return _with_replays(connection, creations, known, results, full)


def find_replay(connection: Connection, *, tenant_id: str, request: Idempotency) -> Created | None:
    """What the same request made before; None where it made nothing, or what it made was deleted."""
    job_id = idempotency.find_first(connection, tenant_id=tenant_id, request=request)
    jobs = {} if job_id is None else rows.read_jobs(connection, [job_id])
    return next((Created(job, is_replay=True) for job in jobs.values()), None)


def _without_room(connection: Connection, fresh: Sequence[Creation]) -> set[str]:
    """The jobs that their tenant's limit leaves no room for; their keys are as free as before."""
    room = quotas.room_in_queue(connection, {one.job.tenant_id for one in fresh}) if fresh else {}
    full: set[str] = set()
    for one in fresh if room else ():
        tenant = one.job.tenant_id
        if room.get(tenant, 1) <= 0:
            full.add(one.job.id)
        elif tenant in room:
            room[tenant] -= 1
    keyed = [one for one in fresh if one.job.id in full and one.idempotency is not None]
    if keyed:
        idempotency.free(connection, map(_key_of, keyed))
    return full


def _with_replays(
    connection: Connection,
    creations: Sequence[Creation],
    known: dict[Name, tuple[str, str]],
    results: list[Created | None],
    full: Set[str],
) -> list[Created]:
    replayed = {known[_key_of(c)][1] for c, result in zip(creations, results, strict=True) if result is None}
    jobs = rows.read_jobs(connection, replayed) if replayed else {}
    complete: list[Created] = []
    for creation, result in zip(creations, results, strict=True):
        if result is None:
            request_hash, job_id = known[_key_of(creation)]
            same = creation.idempotency is not None and request_hash == creation.idempotency.request_hash
            result = Created(
                jobs.get(job_id, creation.job),
                is_replay=same,
                is_conflict=not same,
                is_gone=job_id not in jobs and job_id not in full,
                is_full=job_id in full,
            )
        complete.append(result)
    return complete


def _key_of(creation: Creation) -> Name:
    key = creation.idempotency.key if creation.idempotency else f"\0{creation.job.id}"
    return creation.job.tenant_id, key


def _keys_in_use(connection: Connection, creations: Sequence[Creation]) -> dict[Name, tuple[str, str]]:
    """Take the keys of this group, and read whose they are: ours, or an earlier request's."""
    return idempotency.take(
        connection,
        [
            Once(c.job.tenant_id, c.idempotency.key, c.idempotency.request_hash, c.job.id, c.job.created_at)
            for c in creations
            if c.idempotency is not None
        ],
    )


def insert(connection: Connection, creations: Sequence[Creation], known_shares: Set[Share]) -> None:
    """The rows of new jobs, which must be new. The log hears of a batch's when the batch lets them go."""
    jobs = [msgspec.structs.astuple(c.job) for c in creations]
    many_rows.insert_tuples(connection, "jobs", Job.__struct_fields__, jobs)
    inputs = [(c.job.id, c.input) for c in creations]
    many_rows.insert_tuples(connection, "documents", ("job_id", "input"), inputs)
    told = [rows.created_event(c.job) for c in creations if c.job.batch_id is None]
    rows.insert_events(connection, told)
    lanes.open_shares(connection, {share_of(c.job) for c in creations} - known_shares)
