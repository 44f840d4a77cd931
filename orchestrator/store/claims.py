"""Claiming: limits and fairness in one short transaction.

The account's row is locked, so that claims of one account follow one another: free slots are what
the limit leaves beside the attempts that have not ended, tokens come from each lane's bucket, and
`turns` says whose jobs go first. Nothing here waits for a job's row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from orchestrator import lifecycle, policy
from orchestrator.decision import Decision
from orchestrator.ids import new_id
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.lifecycle import Move
from orchestrator.store import batches, dialect, quotas, rows, tallies, turns
from orchestrator.store.changes import Change, apply_uncounted
from orchestrator.store.lanes import Lane, read_lanes
from orchestrator.store.tallies import Pair
from orchestrator.store.turns import Share

# So much later `open_from` is written again.
_OPEN_FROM_MS = 1_000
# Long after the lease: by then the sweep has the attempt looked for by itself.
_UNANSWERED_MS = 60_000
_HELD_BY = {"paused": "its batch is paused", "receiving": "its batch is still being received"}
_ENDED_BY = ("cancelling", "discarded")


class Claim(msgspec.Struct, frozen=True):
    """A job to be POSTed now, with the input as it was stored."""

    job: Job
    attempt: Attempt
    input: str


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
    unused, open_from = _free_slots(connection, account_id, now)
    free = min(slots, unused)
    claims: list[Claim] = []
    moved = _Moved([], [])
    lanes = read_lanes(connection, account_id, lock=True) if free > 0 else []
    room = quotas.room_in_flight(connection, account_id=account_id, open_from=open_from) if lanes else {}
    shares = _lock_shares(connection, lanes, room, now)
    # Who was served longest ago goes first: else images would take every slot that ever gets free.
    for lane in sorted(lanes, key=lambda lane: lane.tokens_at):
        if len(claims) == free:
            break
        slots = free - len(claims)
        got = _claim_lane(
            connection, lane, shares[lane.id], room, owner, slots, is_idle and not claims, now, moved
        )
        claims += got or ()
        for one in got or ():
            if one.job.tenant_id in room:
                room[one.job.tenant_id] -= 1
        if got is None or any(one.attempt.is_solo for one in claims):
            break
    # Rows of batches are locked last, when every lane has been gone through: as changes do.
    tallies.count(connection, moved.pairs, endings=moved.endings, now=now)
    return claims


def leased_at(connection: Connection, *, account_id: str, owner: str, claimed_at: int) -> list[Job]:
    """What this worker leased in its claim of that time and still holds."""
    found = dialect.fetch(
        connection,
        f"SELECT {rows.JOB_COLUMNS} FROM attempts a"
        " JOIN jobs ON jobs.id = a.job_id AND jobs.attempt = a.number"
        " WHERE a.account_id = :account AND a.ended_at IS NULL AND a.claimed_at = :at"
        " AND jobs.lease_owner = :owner",
        {"account": account_id, "owner": owner, "at": claimed_at},
    )
    return [rows.to_job(row) for row in found]


def _free_slots(connection: Connection, account_id: str, now: int) -> tuple[int, int]:
    """How many there are, none when the account is in trouble, and since when attempts may be open.

    Of a locked account no attempt is claimed meanwhile.
    """
    locking = dialect.lock(connection.dialect.name)
    ((most, trouble, open_from),) = dialect.fetch(
        connection,
        f"SELECT max_in_flight, trouble, open_from FROM accounts WHERE id = :id{locking}",
        {"id": account_id},
    )
    if trouble is not None:
        return 0, open_from
    count, oldest = _open_attempts(connection, account_id, open_from)
    # This worker's clock may be late: what it claims now is not left out of the next count.
    begin = min(oldest or now, now)
    if begin < open_from or begin >= open_from + _OPEN_FROM_MS:
        dialect.run(
            connection,
            "UPDATE accounts SET open_from = :begin WHERE id = :id",
            {"begin": begin, "id": account_id},
        )
    return int(most) - count, begin


def is_account_full(connection: Connection, *, account_id: str) -> bool:
    """Whether jobs may be waiting for a slot at the provider."""
    ((most, open_from),) = dialect.fetch(
        connection, "SELECT max_in_flight, open_from FROM accounts WHERE id = :id", {"id": account_id}
    )
    count, _ = _open_attempts(connection, account_id, open_from)
    return count >= int(most)


def _open_attempts(connection: Connection, account_id: str, open_from: int) -> tuple[int, int | None]:
    """Attempts that have not ended, whatever became of their jobs, and when the oldest was claimed.

    A count, so it cannot drift; those that ended long ago, and are in the index still, are not looked at.
    """
    ((count, oldest),) = dialect.fetch(
        connection,
        "SELECT count(*), min(claimed_at) FROM attempts"
        " WHERE account_id = :id AND ended_at IS NULL AND claimed_at >= :open_from",
        {"id": account_id, "open_from": open_from},
    )
    return int(count), oldest


def _lock_shares(
    connection: Connection, lanes: Sequence[Lane], room: Mapping[str, int], now: int
) -> dict[str, list[Share]]:
    """Those next in line of each lane that may send now, locked in the order of the lanes' ids, as whoever
    makes jobs of several lanes ready locks them.
    """
    may_send = [
        lane for lane in lanes if lane.closed_until <= now and policy.refill(lane.bucket, now).tokens >= 1
    ]
    locked = {lane.id: turns.lock_shares(connection, lane.id, room) for lane in may_send}
    return {lane.id: locked.get(lane.id, []) for lane in lanes}


def _claim_lane(
    connection: Connection,
    lane: Lane,
    shares: list[Share],
    room: Mapping[str, int],
    owner: str,
    slots: int,
    is_idle: bool,
    now: int,
    moved: _Moved,
) -> list[Claim] | None:
    """None when a job must be sent alone and this worker is not idle: then it claims nothing more."""
    # Another lane may have filled a tenant's own limit meanwhile.
    shares = [share for share in shares if room.get(share.tenant_id, 1) > 0]
    if not shares:
        return []
    bucket = policy.refill(lane.bucket, now)
    most = min(slots, int(bucket.tokens), 1 if lane.is_half_open else slots)
    seen = turns.choose(connection, lane, shares, most, room, now)
    locked = rows.lock_jobs(connection, chain(*seen.values()), skip_locked=True).values()
    # Somebody may have held or ended one of them since it was chosen.
    jobs = [job for job in locked if job.phase == Phase.READY]
    stopped = _stop(connection, jobs, now, moved)
    taken = jobs
    jobs = [job for job in jobs if job.id not in stopped]
    suspects = [job for job in jobs if job.lost_leases >= policy.SOLO_AFTER_LOST_LEASES]
    if suspects and not is_idle:
        return None
    jobs = suspects[:1] or jobs
    # A stopped job costs its tenant the turn but the lane no token, so that others come next.
    served = jobs or [job for job in taken if job.id in stopped]
    if not served:
        return []
    turns.charge(connection, lane, shares, served, bucket, now, tokens=len(jobs))
    turns.advance(connection, lane, seen, stopped | {job.id for job in jobs}, now)
    return _lease(connection, lane, jobs, owner, now, moved)


def _stop(connection: Connection, jobs: Sequence[Job], now: int, moved: _Moved) -> set[str]:
    """Hold or end the jobs whose batch is paused or cancelled, before its steps have reached them; and those
    of an upload that somebody has sent again by hand: it may still be given up, with all its jobs.
    """
    states = batches.states(connection, {job.batch_id for job in jobs if job.batch_id})
    orders = {job.id: states.get(job.batch_id or "") for job in jobs}
    stopped = {job_id: state for job_id, state in orders.items() if state in _HELD_BY or state in _ENDED_BY}

    def decide(job: Job, _attempt: Attempt | None) -> Decision:
        if because := _HELD_BY.get(stopped[job.id]):
            return Decision(note="held", move=lifecycle.hold(job, because))
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


def _lease(
    connection: Connection, lane: Lane, jobs: Sequence[Job], owner: str, now: int, moved: _Moved
) -> list[Claim]:
    moves = [lifecycle.claim(job, owner=owner, now=now, lease_ms=policy.LEASE_MS) for job in jobs]
    attempts = [_attempt(move.after, lane, now) for move in moves]
    inputs = rows.read_inputs(connection, [job.id for job in jobs])
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
