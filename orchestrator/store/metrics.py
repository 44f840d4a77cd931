"""What a monitoring system asks every few seconds: how the installation stands, and what has happened.

What has happened is read from the figures that are never forgotten (`figures.EVER`), so that a look reads few
rows, however many jobs there were. `tenant_id` None means all tenants.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from sqlalchemy import Connection

from orchestrator.store import board, figures, lane_board, lanes, processes, series, system_board
from orchestrator.store.board import Seen
from orchestrator.store.lanes import Account, Lane
from orchestrator.store.processes import Process
from orchestrator.store.series import Wanted

ENDS = ("completed", "failed")
STAGES = ("wait", "submit", "run", "total")
_CALLBACKS = "callback_"


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One look. Counters are by lane, `took` by stage, lane and bucket of time, `in_flight` by account."""

    accounts: list[Account]
    lanes: list[Lane]
    in_flight: dict[str, int]
    phases: dict[str, Counter[str]]
    oldest: dict[str, int]
    seen: Seen
    processes: list[Process]
    claimed: dict[str, Counter[str]]
    ended: dict[str, Counter[str]]
    reasons: dict[str, Counter[str]]
    outcomes: dict[str, Counter[str]]
    found_by: dict[str, Counter[str]]
    callbacks: Counter[str]
    took: dict[str, dict[str, Counter[int]]]
    lag_since: int | None
    database_size: int


def look(connection: Connection, *, tenant_id: str | None, now: int) -> Installation:
    oldest = board.oldest(connection, tenant_id=tenant_id, now=now)
    ever = Wanted(span=figures.EVER, since=0, names=(), tenant_id=tenant_id)

    def named(*names: str) -> Wanted:
        return msgspec.structs.replace(ever, names=names)

    def like(prefix: str) -> dict[str, Counter[str]]:
        return series.names_like(connection, prefix=prefix, wanted=ever)

    return Installation(
        accounts=lanes.read_accounts(connection),
        lanes=lanes.read_lanes(connection),
        in_flight=lane_board.in_flight(connection, tenant_id=tenant_id),
        phases=series.stages(connection, tenant_id=tenant_id),
        oldest=oldest,
        seen=board.see(connection, tenant_id=tenant_id, oldest=oldest, now=now),
        processes=processes.running(connection),
        claimed=series.by_lane(connection, wanted=named("claimed")),
        ended=series.by_lane(connection, wanted=named(*ENDS)),
        reasons=like("reason_"),
        outcomes=like("outcome_"),
        found_by=like("found_by_"),
        callbacks=sum(like(_CALLBACKS).values(), Counter()),
        took={stage: series.times_by_lane(connection, wanted=named(stage)) for stage in STAGES},
        lag_since=system_board.figures_lag(connection).since,
        database_size=system_board.see_database(connection).size,
    )
