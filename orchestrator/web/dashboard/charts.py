"""Charts as SVG, drawn on the server: they read without JavaScript, and the style sheet colours them.

The drawing is stretched to its box; texts stand beside it in HTML, so that they are never stretched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from orchestrator.clock import DAY, HOUR, MINUTE, SECOND
from orchestrator.web.dashboard.words import duration

_WIDTH = 1_000
_HEIGHT = 100
_STEPS = (1, 2, 2.5, 5, 10)
# Whose halves are round as well.
_TIMES = (
    *(2, 10, 20, 50, 100, 200, 500),
    *(seconds * SECOND for seconds in (1, 2, 5, 10, 20, 30)),
    *(minutes * MINUTE for minutes in (1, 2, 4, 10, 20, 30)),
    *(hours * HOUR for hours in (1, 2, 4, 12, 24)),
)


class Line(msgspec.Struct, frozen=True):
    """One series; `tone` names its colour in the style sheet. None is a gap."""

    name: str
    tone: str
    values: Sequence[float | None]


class Scale(msgspec.Struct, frozen=True):
    """The top of a value axis, and its labels from the top down; `is_empty`: there is nothing to draw."""

    top: float
    labels: tuple[str, ...]
    is_empty: bool = False


def scale(highest: float, *, unit: str = "") -> Scale:
    """A round top at or above `highest`, cut in two; `unit` "ms" is shown in the largest fitting unit."""
    if highest <= 0:
        return Scale(1.0, (_label(1, unit), "", _label(0, unit)), is_empty=True)
    top = _top_of_times(highest) if unit == "ms" else _round_up(highest)
    is_told = bool(unit) or (top / 2).is_integer()  # there is no half of a job
    return Scale(top, (_label(top, unit), _label(top / 2, unit) if is_told else "", _label(0, unit)))


def _top_of_times(highest: float) -> float:
    return _top_of(highest, _TIMES) if highest <= DAY else _round_up(highest / DAY) * DAY


def _round_up(highest: float) -> float:
    size = 10 ** math.floor(math.log10(highest))
    return _top_of(highest, [step * size for step in _STEPS])


def _top_of(highest: float, tops: Sequence[float]) -> float:
    return next(top for top in tops if top >= highest * 0.999)


def lines(series: Sequence[Line], hints: Sequence[str], *, top: float) -> Markup:
    """Lines over time; `hints` has the words for each point in time, shown when it is pointed at."""
    drawn = [_path(line, top=top) for line in series]
    return _svg([*drawn, *_hits(hints)], kind="lines")


def stacked(series: Sequence[Line], hints: Sequence[str], *, top: float) -> Markup:
    """Columns over time, the series of each stacked from the ground up."""
    slot = _WIDTH / max(1, len(hints))
    drawn: list[str] = []
    for number in range(len(hints)):
        ground = float(_HEIGHT)
        for line in series:
            height = _HEIGHT * (line.values[number] or 0) / top
            if height > 0:
                ground -= height
                drawn.append(
                    f'<rect class="tone-{escape(line.tone)}" x="{number * slot + slot * 0.1:.2f}"'
                    f' y="{ground:.2f}" width="{slot * 0.8:.2f}" height="{height:.2f}"/>'
                )
    return _svg([*drawn, *_hits(hints)], kind="stacked")


def meter(value: float, most: float, *, tone: str, label: str) -> Markup:
    """How full something is; read aloud as `label`."""
    filled = _WIDTH * min(1.0, value / most) if most > 0 else 0.0
    bar = f'<rect class="tone-{escape(tone)}" width="{filled:.1f}" height="{_HEIGHT}"/>'
    return _svg([bar], kind="meter", label=label)


def parts(values: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """Shares of a whole side by side; each is a tone with its number."""
    whole = sum(value for _, value in values) or 1.0
    drawn, at = [], 0.0
    for tone, value in values:
        width = _WIDTH * value / whole
        drawn.append(
            f'<rect class="tone-{escape(tone)}" x="{at:.1f}" width="{width:.1f}" height="{_HEIGHT}"/>'
        )
        at += width
    return _svg(drawn, kind="meter", label=label)


def _path(line: Line, *, top: float) -> str:
    between = _WIDTH / max(1, len(line.values) - 1)
    runs: list[list[str]] = [[]]
    for number, value in enumerate(line.values):
        if value is None:
            runs.append([])
        else:
            y = _HEIGHT * (1 - min(1.0, value / top))
            runs[-1].append(f"{number * between:.1f},{y:.2f}")
    drawn = []
    for run in filter(None, runs):
        tone = escape(line.tone)
        kind, points = ("line", run) if len(run) > 1 else ("line alone", [run[0], run[0]])
        drawn.append(f'<polyline class="{kind} tone-{tone}" points="{" ".join(points)}"/>')
    return "".join(drawn)


def _hits(hints: Sequence[str]) -> list[str]:
    """One invisible column for each point in time, which knows its words."""
    slot = _WIDTH / max(1, len(hints))
    return [
        f'<rect class="hit" x="{number * slot:.2f}" width="{slot:.2f}" height="{_HEIGHT}">'
        f"<title>{escape(hint)}</title></rect>"
        for number, hint in enumerate(hints)
    ]


def _svg(drawn: Sequence[str], *, kind: str, label: str = "") -> Markup:
    named = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return Markup(  # noqa: S704  (numbers of ours; every text in it was escaped)
        f'<svg class="chart-{kind}" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" {named}>'
        f"{''.join(drawn)}</svg>"
    )


def _label(value: float, unit: str) -> str:
    if unit == "ms":
        return duration(value) if value else "0"
    shown = f"{value / 1_000:g} k" if value >= 10_000 else f"{value:,g}"
    return f"{shown} {unit}".strip()
