"""Stacked columns over a period, with the numbers of each point in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.web.dashboard import charts
from orchestrator.web.dashboard.charts import Line
from orchestrator.web.dashboard.periods import Period
from orchestrator.web.dashboard.words import count


def columns(period: Period, lines: Sequence[Line]) -> dict[str, Any]:
    """`drawing` and `scale` for the macro `chart`; each line has a value for each point of the period."""
    points = list(zip(*(line.values for line in lines), strict=True))
    scale = charts.scale(max((sum(value or 0 for value in point) for point in points), default=0))
    hints = [
        f"{period.hint(at)}\n{_told(lines, point)}" for at, point in zip(period.points, points, strict=True)
    ]
    return {"drawing": charts.stacked(lines, hints, top=scale.top), "scale": scale}


def ended(period: Period, found: Mapping[str, Mapping[int, float]]) -> dict[str, Any]:
    """How jobs ended: those that somebody cancelled stand apart from the others that failed."""
    completed, failed, cancelled = (
        period.laid_out(found[name]) for name in ("completed", "failed", "reason_cancelled")
    )
    rest = [max(0.0, all_ - own) for all_, own in zip(failed, cancelled, strict=True)]
    lines = [
        Line("completed", "good", completed),
        Line("failed", "bad", rest),
        Line("cancelled", "idle", cancelled),
    ]
    return columns(period, lines)


def _told(lines: Sequence[Line], point: Sequence[float | None]) -> str:
    return ", ".join(f"{count(value)} {line.name}" for line, value in zip(lines, point, strict=True))
