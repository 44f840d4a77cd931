"""The first page, Now: what is wrong, how many jobs are in each stage, how old the oldest is, the trend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.clock import MINUTE, SECOND
from orchestrator.store.board import COUNTED_UP_TO, FirstPage, first_page
from orchestrator.store.series import percentile
from orchestrator.web.dashboard import batches, charts, jobs, periods, trends, troubles
from orchestrator.web.dashboard.charts import Line
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.periods import Period
from orchestrator.web.dashboard.words import count, duration

# From this age on the oldest of a stage is shown as an alarm: twice as long as it can take when all is well.
_ALARM_MS = {
    "ready": 5 * MINUTE,
    "waiting": 15 * SECOND,
    "submitting": MINUTE,
    "in_doubt": 10 * MINUTE,
    "accepted": 15 * MINUTE,
}
# What takes as long as the backlog or the model lets it is held against what it took in the last day.
_ALARM_AT_P95S = 3
_DWELL = {"ready": "wait", "submitting": "submit", "accepted": "run"}
# What is known of a ready job is when it was stored: it may have been held, or waited, before.
_SINCE = {"ready": "from stored to sent"}
_TITLES = (
    ("ready", "Ready", "may be sent"),
    ("waiting", "Waiting", "for their time"),
    ("submitting", "Submitting", "being sent"),
    ("in_doubt", "In doubt", "sent, or maybe sent"),
    ("accepted", "Accepted", "at the provider"),
)


class Stage(msgspec.Struct, frozen=True):
    """A field of the strip; `is_more`: there are at least so many; `took` is what `p50`, `p95` measure."""

    title: str
    means: str
    count: int
    path: str
    tone: str
    age: int | None = None
    age_of: str = "oldest"
    is_alarm: bool = False
    is_more: bool = False
    took: str = "in this stage"
    p50: float | None = None
    p95: float | None = None


async def load(look: Look) -> Mapping[str, Any]:
    """Everything of the first page, read in one transaction."""
    period = periods.chosen(look)
    found = await look.runtime.store.read(
        first_page, tenant_id=look.viewer.sees, span=period.span, since=period.start, now=look.now
    )
    return {
        "period": period,
        "periods": periods.CHOICES,
        "troubles": troubles.told(look, found.seen, accounts=found.accounts),
        "stages": stages_of(found, look.now),
        "throughput": trends.ended(period, found.trend),
        "latency": _latency(found, period),
        "results": [jobs.row(one, now=look.now) for one in found.newest],
        "running": [
            (one, batches.title_of(one), batches.bar_of(one, found.cancelled[one.id]))
            for one in found.batches
        ],
        "is_new": not found.phases.total() and not found.day["created"],
        "example": look.here.base_url,
    }


def stages_of(found: FirstPage, now: int) -> list[Stage]:
    stages = []
    for phase, title, means in _TITLES:
        number = max(0, found.phases[phase])
        age = max(0, now - found.oldest[phase]) if phase in found.oldest and number else None
        if phase == "waiting" and not age:
            age = None  # it is not due yet
        dwell = found.dwell.get(_DWELL.get(phase, ""), Counter())
        stages.append(
            Stage(
                title=title,
                means=means,
                count=number,
                path=f"/jobs?phase={phase}",
                tone="doubt" if phase == "in_doubt" else "busy",
                age=age,
                is_alarm=age is not None and age > _alarm_ms(phase, percentile(dwell, 0.95)),
                took=_SINCE.get(phase, "in this stage"),
                p50=percentile(dwell, 0.5),
                p95=percentile(dwell, 0.95),
            )
        )
    held = found.held + found.seen.in_doubt
    ended = {name: sum(of_day.values()) for name, of_day in found.day.items()}
    cancelled = ended["reason_cancelled"]
    in_a_day = f"in 24 hours, and {count(cancelled)} cancelled" if cancelled else "in 24 hours"
    return [
        Stage(
            title="Held",
            means="paused, or for you",
            count=held,
            path="/jobs?phase=held",
            tone="wait",
            age=None if found.seen.in_doubt_since is None else max(0, now - found.seen.in_doubt_since),
            age_of="oldest for you",
            is_more=found.seen.in_doubt >= COUNTED_UP_TO,
        ),
        *stages,
        Stage("Completed", "in 24 hours", ended["completed"], "/jobs?phase=completed&since=24h", "good"),
        Stage("Failed", in_a_day, max(0, ended["failed"] - cancelled), "/jobs?phase=failed&since=24h", "bad"),
    ]


def _alarm_ms(phase: str, p95: float | None) -> float:
    least = _ALARM_MS[phase]
    return max(least, _ALARM_AT_P95S * p95) if p95 and phase in ("ready", "accepted") else least


def _latency(found: FirstPage, period: Period) -> Mapping[str, Any]:
    merged: dict[int, Counter[int]] = {at: Counter() for at in period.points}
    for at, buckets in found.totals.items():
        place = period.start + (at - period.start) // period.step * period.step
        if place in merged:
            merged[place] += buckets
    p50, p95 = ([percentile(one, share) for one in merged.values()] for share in (0.5, 0.95))
    scale = charts.scale(max((value for value in p95 if value is not None), default=0), unit="ms")
    hints = [
        f"{period.hint(at)}\nhalf within {duration(half)}, 95 % within {duration(most)}"
        for at, half, most in zip(period.points, p50, p95, strict=True)
    ]
    lines = [Line("95 %", "wait", p95), Line("half", "busy", p50)]
    return {"drawing": charts.lines(lines, hints, top=scale.top), "scale": scale}
