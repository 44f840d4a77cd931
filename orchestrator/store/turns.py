"""Whose turn it is in a lane: the tenants with the least virtual time go first, each in priority order.

Claims call this with the lane locked; what a tenant was given moves its virtual time on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.ids import first_id_at
from orchestrator.job import Job
from orchestrator.store import dialect
from orchestrator.store.lanes import Lane

MOST_SHARES = 16
# No share looks past ids younger than this: a transaction that inserts older ids has ended by then.
_SETTLED_MS = 15_000


class Share(msgspec.Struct, frozen=True):
    tenant_id: str
    priority: int
    virtual_time: float
    ready_from: str
    weight: float


def lock_shares(connection: Connection, lane: str, room: Mapping[str, int]) -> list[Share]:
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
        Share(row[0], row[1], row[2], row[3], weights[row[0], row[1]])
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


def choose(
    connection: Connection,
    lane: Lane,
    shares: Sequence[Share],
    most: int,
    room: Mapping[str, int],
    now: int,
) -> dict[Share, list[str]]:
    """Up to `most` ready jobs, fairly among the tenants and in priority order within each."""
    quota = policy.share_out(list(_lifted_by_tenant(lane, shares).values()), most, room)
    seen: dict[Share, list[str]] = {}
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


def _ready_ids(connection: Connection, lane: str, share: Share, most: int, now: int) -> list[str]:
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


def _lifted_by_tenant(lane: Lane, shares: Sequence[Share]) -> dict[str, policy.Share]:
    """A tenant that was idle starts at the lane's time: it has not saved up turns."""
    times: dict[str, policy.Share] = {}
    for share in shares:
        time = max(share.virtual_time, lane.virtual_time)
        known = times.get(share.tenant_id)
        if known is None or known.virtual_time < time:
            times[share.tenant_id] = policy.Share(share.tenant_id, time, share.weight)
    return times


def charge(
    connection: Connection,
    lane: Lane,
    shares: Sequence[Share],
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


def advance(
    connection: Connection, lane: Lane, seen: dict[Share, list[str]], taken: set[str], now: int
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
