"""Stacked columns over a period, with the numbers of each point in words."""

from __future__ import annotations

from collections.abc import Sequence
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


def _told(lines: Sequence[Line], point: Sequence[float | None]) -> str:
    return ", ".join(f"{count(value)} {line.name}" for line, value in zip(lines, point, strict=True))
