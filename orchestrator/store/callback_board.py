"""What the dashboard shows of the provider's callbacks: how many came, and those that were not believed.

`tenant_id` None means all tenants. A callback that could not be matched to a job is nobody's, and is
counted for the operator alone.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, lanes, series
from orchestrator.store.lanes import Lane
from orchestrator.store.series import Wanted

VERDICTS = ("applied", "late", "rejected", "unsigned", "stale", "invalid", "unreadable", "unknown")
"""What became of a callback: the ends of the figures `callback_…`."""

SOURCES = ("callback", "poll", "answer", "history")
"""Who told the end of a job first: the ends of the figures `found_by_…`."""

_LOOKED_THROUGH = 20_000


class Doubted(msgspec.Struct, frozen=True):
    """Callbacks of one attempt that were not believed, counted; `excerpt` is how the body began."""

    job_id: str
    attempt: int
    verdict: str
    first_at: int
    last_at: int
    count: int
    excerpt: str


class CallbackBoard(msgspec.Struct, frozen=True, kw_only=True):
    """`trend` is by verdict and time, `found_by` by source."""

    trend: dict[str, dict[int, int]]
    sums: Counter[str]
    found_by: Counter[str]
    doubted: list[Doubted]
    lanes: list[Lane]


def callback_board(
    connection: Connection, *, trend: Wanted, span: str, since: int, tenant_id: str | None, most: int
) -> CallbackBoard:
    """`trend` says which minutes or hours the chart shows; the sums begin at `since`."""
    names = [f"callback_{verdict}" for verdict in VERDICTS]
    summed = Wanted(
        span=span,
        since=since,
        names=[*names, *(f"found_by_{source}" for source in SOURCES)],
        tenant_id=tenant_id,
    )
    sums = sum(series.by_lane(connection, wanted=summed).values(), Counter[str]())
    over_time = series.over_time(connection, wanted=msgspec.structs.replace(trend, names=names))
    return CallbackBoard(
        trend={name.removeprefix("callback_"): found for name, found in over_time.items()},
        sums=Counter({verdict: sums[f"callback_{verdict}"] for verdict in VERDICTS}),
        found_by=Counter({source: sums[f"found_by_{source}"] for source in SOURCES}),
        doubted=doubted(connection, tenant_id=tenant_id, most=most),
        lanes=lanes.read_lanes(connection),
    )


def doubted(connection: Connection, *, tenant_id: str | None, most: int) -> list[Doubted]:
    """Those that came last first, of the newest 20,000 of all tenants."""
    newest = (
        "SELECT job_id, attempt, verdict, first_at, last_at, count, excerpt FROM callbacks"
        " WHERE verdict <> 'valid' OR excerpt <> '' ORDER BY last_at DESC"
    )
    if tenant_id is None:
        found = connection.execute(dialect.sql(f"{newest} LIMIT :most"), {"most": most})
    else:
        found = connection.execute(
            dialect.sql(
                f"SELECT c.* FROM ({newest} LIMIT {_LOOKED_THROUGH}) AS c WHERE EXISTS"
                " (SELECT 1 FROM jobs j WHERE j.id = c.job_id AND j.tenant_id = :tenant)"
                " ORDER BY c.last_at DESC LIMIT :most"
            ),
            {"tenant": tenant_id, "most": most},
        )
    return [Doubted(*row) for row in found]
