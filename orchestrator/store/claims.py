"""Claiming: limits and fairness in one short transaction.

The account's row is locked, so that claims of one account follow one another: free slots are what
the limit leaves beside the attempts that have not ended, tokens come from each lane's bucket, and
the tenants with the least virtual time go first. Nothing here waits for a job's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from orchestrator import lifecycle, policy
from orchestrator.decision import Decision
from orchestrator.ids import first_id_at, new_id
from orchestrator.lifecycle import Attempt, Job, Move, Reason
from orchestrator.store import batches, dialect, quotas, rows, tallies
from orchestrator.store.changes import Change, apply_uncounted
from orchestrator.store.lanes import Lane, read_lanes
from orchestrator.store.tallies import Pair

MOST_SHARES = 16
# No share looks past ids younger than this: a transaction that inserts older ids has ended by then.
_SETTLED_MS = 15_000
# Long after the lease: by then the sweep has the attempt looked for by itself.
_UNANSWERED_MS = 60_000


class Claim(msgspec.Struct, frozen=True):
    """A job to be POSTed now, with the input as it was stored."""

    job: Job
    attempt: Attempt
    input: str


class _Share(msgspec.Struct, frozen=True):
    tenant_id: str
    priority: int
    virtual_time: float
    ready_from: str
    weight: float


class _Moved(NamedTuple):
    """What the counters of batches must hear of once the claim is through."""

    pairs: list[Pair]
    endings: list[Move]


def claim(
    connection: Connection, *, account_id: str, owner: str, slots: int, is_idle: bool, now: int
) -> list[Claim]:
    """Lease at most `slots` ready jobs of the account for this worker; [] when none may be sent.

    `is_idle` says that this worker has no POST under way: only then a job that may be poisonous is
    given out, and it alone, so that its neighbours do not die with it.
    """
    free = min(slots, _free_slots(connection, account_id))
    claims: list[Claim] = []
    moved = _Moved([], [])
    lanes = read_lanes(connection, account_id, lock=True) if free > 0 else []
    # Who was served longest ago goes first: else images would take every slot that ever gets free.
    for lane in sorted(lanes, key=lambda lane: lane.tokens_at):
        if len(claims) == free:
            break
        got = _claim_lane(connection, lane, owner, free - len(claims), is_idle and not claims, now, moved)
        claims += got or ()
        if got is None or any(one.attempt.is_solo for one in claims):
            break
    # Rows of batches are locked last, when every lane has been gone through: as changes do.
    tallies.count(connection, moved.pairs, endings=moved.endings, now=now)
    return claims


def _free_slots(connection: Connection, account_id: str) -> int:
    """0 when the account is in trouble."""
    locking = dialect.lock(connection.dialect.name)
    ((most, trouble),) = dialect.fetch(
        connection,
        f"SELECT max_in_flight, trouble FROM accounts WHERE id = :id{locking}",
        {"id": account_id},
    )
    if trouble is not None:
        return 0
    return int(most) - count_in_flight(connection, account_id)


def count_in_flight(connection: Connection, account_id: str) -> int:
    """Attempts that have not ended, whatever became of their jobs: a count, so it cannot drift."""
    ((count,),) = dialect.fetch(
        connection,
        "SELECT count(*) FROM attempts WHERE account_id = :id AND ended_at IS NULL",
        {"id": account_id},
    )
    return int(count)


def is_account_full(connection: Connection, *, account_id: str) -> bool:
    """Whether jobs may be waiting for a slot at the provider."""
    most = connection.execute(
        dialect.sql("SELECT max_in_flight FROM accounts WHERE id = :id"), {"id": account_id}
    ).scalar_one()
    return count_in_flight(connection, account_id) >= int(most)


def _claim_lane(
    connection: Connection, lane: Lane, owner: str, slots: int, is_idle: bool, now: int, moved: _Moved
) -> list[Claim] | None:
    """None when a job must be sent alone and this worker is not idle: then it claims nothing more."""
    if lane.closed_until > now:
        return []
    bucket = policy.refill(lane.bucket, now)
    most = min(slots, int(bucket.tokens), 1 if lane.is_half_open else slots)
    room = quotas.room_in_flight(connection, account_id=lane.account_id) if most > 0 else {}
    shares = _lock_shares(connection, lane.id, room) if most > 0 else []
    if not shares:
        return []
    seen = _choose(connection, lane, shares, most, room, now)
    jobs = list(rows.lock_jobs(connection, chain(*seen.values()), skip_locked=True).values())
    stopped = _stop(connection, jobs, now, moved)
    taken = jobs
    jobs = [job for job in jobs if job.id not in stopped]
    suspects = [job for job in jobs if job.lost_leases >= policy.SOLO_AFTER_LOST_LEASES]
    if suspects and not is_idle:
        return None
    jobs = suspects[:1] or jobs
    # A stopped job costs its tenant the turn but the lane no token, so that others come next.
    turns = jobs or [job for job in taken if job.id in stopped]
    if not turns:
        return []
    _charge(connection, lane, shares, turns, bucket, now, tokens=len(jobs))
    _advance(connection, lane, seen, stopped | {job.id for job in jobs}, now)
    return _lease(connection, lane, jobs, owner, now, moved)


def _stop(connection: Connection, jobs: Sequence[Job], now: int, moved: _Moved) -> set[str]:
    """Hold or end the jobs whose batch is paused or cancelled, before its steps have reached them."""
    states = batches.states(connection, {job.batch_id for job in jobs if job.batch_id})
    orders = {job.id: states.get(job.batch_id or "") for job in jobs}
    stopped = {job_id: state for job_id, state in orders.items() if state in ("paused", "cancelling")}

    def decide(job: Job, _attempt: Attempt | None) -> Decision:
        if stopped[job.id] == "paused":
            return Decision(note="paused", move=lifecycle.hold(job, "its batch is paused"))
        move = lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=now)
        return Decision(note="cancelled", move=move)

    changes = [
        Change(job_id=job_id, decide=decide, source="batch", event_id=new_id(now)) for job_id in stopped
    ]
    if changes:
        done = apply_uncounted(connection, changes, now=now, is_retry=False)
        moved.pairs.extend(done.pairs)
        moved.endings.extend(done.endings)
    return set(stopped)


def _lock_shares(connection: Connection, lane: str, room: Mapping[str, int]) -> list[_Share]:
    """The shares next in line, least virtual time first.

    They are locked before their jobs are read: whoever makes an older job ready meanwhile waits
    (`lanes.reopen`), and lowers `ready_from` after this claim has raised it.
    """
    full = [tenant for tenant, free in room.items() if free <= 0]
    weights = _weights_of_shares_with_ready_jobs(connection, lane, full)
    if not weights:
        return []
    wanted = dialect.one_of(connection.dialect.name, "tenant_id")
    locked = dialect.fetch(
        connection,
        "SELECT tenant_id, priority, virtual_time, ready_from FROM shares"
        f" WHERE lane_id = :lane AND {wanted} ORDER BY tenant_id, priority"
        + dialect.lock(connection.dialect.name),
        {"lane": lane, "ids": dialect.to_json(sorted({tenant for tenant, _ in weights}))},
    )
    shares = [
        _Share(row[0], row[1], row[2], row[3], weights[row[0], row[1]])
        for row in locked
        if (row[0], row[1]) in weights
    ]
    return sorted(shares, key=lambda share: (share.virtual_time, share.tenant_id, share.priority))


def _weights_of_shares_with_ready_jobs(
    connection: Connection, lane: str, full: Sequence[str]
) -> dict[tuple[str, int], float]:
    """Tenant and priority with the tenant's weight, of those with the least virtual time, but not `full`."""
    excluded = f" AND NOT ({dialect.one_of(connection.dialect.name, 's.tenant_id')})" if full else ""
    found = dialect.fetch(
        connection,
        "SELECT s.tenant_id, s.priority, t.weight"
        " FROM shares s JOIN tenants t ON t.id = s.tenant_id WHERE s.lane_id = :lane"
        " AND EXISTS (SELECT 1 FROM jobs WHERE lane_id = s.lane_id AND tenant_id = s.tenant_id"
        f" AND priority = s.priority AND phase = 'ready' AND id >= s.ready_from){excluded}"
        " ORDER BY s.virtual_time, s.tenant_id, s.priority LIMIT :most",
        {"lane": lane, "most": MOST_SHARES} | ({"ids": dialect.to_json(full)} if full else {}),
    )
    return {(row[0], row[1]): row[2] for row in found}


def _choose(
    connection: Connection,
    lane: Lane,
    shares: Sequence[_Share],
    most: int,
    room: Mapping[str, int],
    now: int,
) -> dict[_Share, list[str]]:
    """Up to `most` ready jobs, fairly among the tenants and in priority order within each."""
    quota = policy.share_out(list(_lifted_by_tenant(lane, shares).values()), most, room)
    seen: dict[_Share, list[str]] = {}
    for share in sorted(shares, key=lambda share: share.priority):
        seen[share] = _ready_ids(connection, lane.id, share, quota[share.tenant_id], now)
        quota[share.tenant_id] -= len(seen[share])
    spare = most - sum(map(len, seen.values()))
    unlimited = [share for share in shares if share.tenant_id not in room]
    for share in unlimited if spare and len(shares) > 1 else ():
        more = _ready_ids(connection, lane.id, share, len(seen[share]) + spare, now)
        spare -= len(more) - len(seen[share])
        seen[share] = more
    return seen


def _ready_ids(connection: Connection, lane: str, share: _Share, most: int, now: int) -> list[str]:
    """Without those whose deadline has passed: the sweep is about to end them."""
    found = dialect.fetch(
        connection,
        "SELECT id FROM jobs WHERE lane_id = :lane AND tenant_id = :tenant AND priority = :priority"
        " AND phase = 'ready' AND id >= :ready_from AND (due_at IS NULL OR due_at > :now)"
        " ORDER BY id LIMIT :most",
        {
            "now": now,
            "lane": lane,
            "tenant": share.tenant_id,
            "priority": share.priority,
            "ready_from": share.ready_from,
            "most": most,
        },
    )
    return [row[0] for row in found]


def _lifted_by_tenant(lane: Lane, shares: Sequence[_Share]) -> dict[str, policy.Share]:
    """A tenant that was idle starts at the lane's time: it has not saved up turns."""
    times: dict[str, policy.Share] = {}
    for share in shares:
        time = max(share.virtual_time, lane.virtual_time)
        known = times.get(share.tenant_id)
        if known is None or known.virtual_time < time:
            times[share.tenant_id] = policy.Share(share.tenant_id, time, share.weight)
    return times


def _charge(
    connection: Connection,
    lane: Lane,
    shares: Sequence[_Share],
    jobs: Sequence[Job],
    bucket: policy.Bucket,
    now: int,
    *,
    tokens: int,
) -> None:
    """Take the tokens, and move each tenant's virtual time on by what it got."""
    got = Counter(job.tenant_id for job in jobs)
    times = {
        tenant: share.virtual_time + got[tenant] / share.weight
        for tenant, share in sorted(_lifted_by_tenant(lane, shares).items())
    }
    for tenant, time in times.items():
        dialect.run(
            connection,
            "UPDATE shares SET virtual_time = :time WHERE lane_id = :lane AND tenant_id = :tenant",
            {"lane": lane.id, "tenant": tenant, "time": time},
        )
    dialect.run(
        connection,
        "UPDATE lanes SET tokens = :tokens, tokens_at = :tokens_at, virtual_time = :time,"
        " paused_until = :paused_until WHERE id = :lane",
        {
            "lane": lane.id,
            "tokens": bucket.tokens - tokens,
            "tokens_at": bucket.tokens_at,
            "time": min(times.values()),
            # Half open: nobody else is sent until this one has answered, or some time has passed.
            "paused_until": now + policy.BREAKER_MS if lane.is_half_open and tokens else lane.paused_until,
        },
    )


def _advance(
    connection: Connection, lane: Lane, seen: dict[_Share, list[str]], taken: set[str], now: int
) -> None:
    """Let the next claim start behind the jobs taken now, unless one before them was passed over."""
    settled = first_id_at(now - _SETTLED_MS)
    for share, ids in seen.items():
        reached = min([*(one for one in ids if one not in taken), *ids[-1:], settled])
        if ids and reached > share.ready_from:
            dialect.run(
                connection,
                "UPDATE shares SET ready_from = :reached"
                " WHERE lane_id = :lane AND tenant_id = :tenant AND priority = :priority",
                {
                    "reached": reached,
                    "lane": lane.id,
                    "tenant": share.tenant_id,
                    "priority": share.priority,
                },
            )


def _lease(
    connection: Connection, lane: Lane, jobs: Sequence[Job], owner: str, now: int, moved: _Moved
) -> list[Claim]:
    moves = [lifecycle.claim(job, owner=owner, now=now, lease_ms=policy.LEASE_MS) for job in jobs]
    attempts = [_attempt(move.after, lane, now) for move in moves]
    inputs = _read_inputs(connection, [job.id for job in jobs])
    rows.write_jobs(connection, [(move.before, move.after) for move in moves])
    rows.insert_attempts(connection, attempts)
    rows.insert_events(
        connection,
        [rows.event_row(move, event_id=new_id(now), now=now, source="worker") for move in moves],
    )
    moved.pairs.extend((move.before, move.after) for move in moves)
    return [
        Claim(move.after, attempt, inputs[attempt.job_id])
        for move, attempt in zip(moves, attempts, strict=True)
    ]


def _attempt(job: Job, lane: Lane, now: int) -> Attempt:
    return Attempt(
        job_id=job.id,
        number=job.attempt,
        account_id=lane.account_id,
        claimed_at=now,
        input_hash=job.input_hash,
        # An attempt whose job ends without its answer, by a late success of an older attempt, is
        # looked for as well, so that no slot at the provider stays taken for good.
        check_at=now + policy.LEASE_MS + _UNANSWERED_MS,
        is_solo=job.lost_leases >= policy.SOLO_AFTER_LOST_LEASES,
    )


def _read_inputs(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    wanted = dialect.one_of(connection.dialect.name, "job_id")
    found = dialect.fetch(
        connection, f"SELECT job_id, input FROM documents WHERE {wanted}", {"ids": dialect.to_json(ids)}
    )
    return {row[0]: row[1] for row in found}


def look_back(connection: Connection) -> None:
    """Lower every share to its oldest ready job: mends what a clock that ran ahead has hidden."""
    connection.execute(
        dialect.sql(
            "UPDATE shares SET ready_from = strays.id FROM"
            " (SELECT s.lane_id, s.tenant_id, s.priority, (SELECT min(j.id) FROM jobs j"
            " WHERE j.lane_id = s.lane_id AND j.tenant_id = s.tenant_id AND j.priority = s.priority"
            " AND j.phase = 'ready' AND j.id < s.ready_from) AS id FROM shares s) AS strays"
            " WHERE strays.id < shares.ready_from AND shares.lane_id = strays.lane_id"
            " AND shares.tenant_id = strays.tenant_id AND shares.priority = strays.priority"
        )
    )
