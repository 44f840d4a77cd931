"""What the dashboard shows of lanes: limits, what is in flight, what waits, and how attempts ended.

Every question is answered from few rows. `tenant_id` None means all tenants.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, lanes, series
from orchestrator.store.lanes import Account, Lane
from orchestrator.store.series import Wanted

_SUMMED = ("claimed", "completed", "failed")


class LaneBoard(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts and lanes; the counters are by lane, `in_flight` is by account."""

    accounts: list[Account]
    lanes: list[Lane]
    in_flight: dict[str, int]
    stages: dict[str, Counter[str]]
    sums: dict[str, Counter[str]]
    outcomes: dict[str, Counter[str]]
    reasons: dict[str, Counter[str]]
    runs: dict[str, Counter[int]]


class LaneTrend(msgspec.Struct, frozen=True):
    """One lane over time: by figure and by the beginning of the minute or hour."""

    ended: dict[str, dict[int, int]]
    retried: dict[str, dict[int, int]]


def lane_board(connection: Connection, *, span: str, since: int, tenant_id: str | None) -> LaneBoard:
    """Sums begin at `since`."""
    wanted = Wanted(span=span, since=since, names=_SUMMED, tenant_id=tenant_id)
    return LaneBoard(
        accounts=lanes.read_accounts(connection),
        lanes=lanes.read_lanes(connection),
        in_flight=in_flight(connection, tenant_id=tenant_id),
        stages=series.stages(connection, tenant_id=tenant_id),
        sums=series.by_lane(connection, wanted=wanted),
        outcomes=series.names_like(connection, prefix="outcome_", wanted=wanted),
        reasons=series.names_like(connection, prefix="reason_", wanted=wanted),
        runs=series.times_by_lane(connection, wanted=msgspec.structs.replace(wanted, names=("run",))),
    )


def lane_trend(
    connection: Connection, *, lane_id: str, span: str, since: int, tenant_id: str | None, outcomes: list[str]
) -> LaneTrend:
    """`outcomes` are the figures of attempts that were not a job's last, by their whole names."""
    names = ("completed", "failed", "reason_cancelled")
    ended = Wanted(span=span, since=since, names=names, tenant_id=tenant_id, lane_id=lane_id)
    retried = msgspec.structs.replace(ended, names=outcomes or ("outcome_",))
    return LaneTrend(series.over_time(connection, wanted=ended), series.over_time(connection, wanted=retried))


def in_flight(connection: Connection, *, tenant_id: str | None) -> dict[str, int]:
    """Open attempts by account: never more than the accounts' limits."""
    of_tenant = " JOIN jobs j ON j.id = a.job_id AND j.tenant_id = :tenant" if tenant_id is not None else ""
    found = connection.execute(
        dialect.sql(
            f"SELECT a.account_id, count(*) FROM attempts a{of_tenant}"
            " WHERE a.ended_at IS NULL GROUP BY a.account_id"
        ),
        {"tenant": tenant_id} if of_tenant else {},
    )
    return {row[0]: row[1] for row in found}
