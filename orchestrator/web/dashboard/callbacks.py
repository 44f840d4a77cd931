"""Callbacks: whether the provider tells us when tasks end, and what came that was not believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.store.callback_board import SOURCES, CallbackBoard, callback_board
from orchestrator.store.lanes import Lane
from orchestrator.store.series import Wanted
from orchestrator.web.dashboard import charts, periods, trends
from orchestrator.web.dashboard.charts import Line
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.periods import Period

_SHOWN = 50
# What became of a callback: its tone, and what it means.
VERDICTS = {
    "applied": ("good", "It was believed, and moved its job."),
    "late": ("idle", "It was believed, and told what was known already."),
    "unknown": ("wait", "It was believed, and its job is deleted."),
    "stale": ("doubt", "Rightly signed, but too long ago: the provider was asked instead."),
    "unsigned": ("doubt", "It had no signature: the provider was asked instead."),
    "invalid": ("bad", "Its signature is wrong: the provider was asked instead."),
    "unreadable": ("bad", "It is in no form that we know: the provider was asked instead."),
    "rejected": ("bad", "Its address was not one that we gave out: refused."),
}
_SOURCE_TONES = {"callback": "good", "answer": "busy", "poll": "wait", "history": "doubt"}
_SOURCE_WORDS = {
    "callback": "by callback",
    "answer": "in the answer",
    "poll": "by poll",
    "history": "in the history",
}


class LaneHeard(msgspec.Struct, frozen=True):
    """Whether callbacks arrive on a lane, with a tone and a word for it; times in ms, None for never."""

    id: str
    tone: str
    word: str
    callback_at: int | None
    polled_at: int | None


async def load(look: Look) -> Mapping[str, Any]:
    period = periods.chosen(look)
    span, since = period.sums
    trend = Wanted(span=period.span, since=period.start, names=(), tenant_id=look.viewer.sees)
    board = await look.runtime.store.read(
        callback_board, trend=trend, span=span, since=since, tenant_id=look.viewer.sees, most=_SHOWN
    )
    public_url = look.runtime.settings.public_url
    heard = [_heard(lane, public_url) for lane in board.lanes]
    return {
        "period": period,
        "periods": periods.CHOICES,
        "public_url": public_url,
        "lanes": heard,
        "silent": [lane for lane in heard if lane.word == "silent"],
        "trend": _trend(period, board),
        "verdicts": [(name, board.sums[name], *VERDICTS[name]) for name in VERDICTS if board.sums[name]],
        "found": _found(board.found_by),
        "doubted": board.doubted,
        "tones": {name: tone for name, (tone, _) in VERDICTS.items()} | {"valid": "bad"},
        "shown": _SHOWN,
    }


def _heard(lane: Lane, public_url: str) -> LaneHeard:
    if not public_url:
        tone, word = "idle", "not asked for"
    elif not lane.is_pushed:
        tone, word = "doubt", "silent"
    elif not lane.callback_at:
        tone, word = "idle", "none yet"
    else:
        tone, word = "good", "arriving"
    return LaneHeard(lane.id, tone, word, lane.callback_at or None, lane.found_by_poll_at or None)


def _trend(period: Period, board: CallbackBoard) -> Mapping[str, Any]:
    """Verdicts of one tone are drawn as one series."""
    names = {"good": "applied", "idle": "late", "wait": "unknown", "doubt": "unproven", "bad": "refused"}
    lines = []
    for tone, name in names.items():
        sums: Counter[int] = Counter()
        for verdict, found in board.trend.items():
            if VERDICTS[verdict][0] == tone:
                sums.update(found)
        lines.append(Line(name, tone, period.laid_out(sums)))
    return trends.columns(period, lines) | {"legend": list(names.items())}


def _found(found_by: Counter[str]) -> Mapping[str, Any] | None:
    """Who told first how jobs ended, as shares of a bar; None when none has ended."""
    whole = found_by.total()
    if not whole:
        return None
    told = [
        (source, _SOURCE_WORDS[source], _SOURCE_TONES[source], found_by[source])
        for source in SOURCES
        if found_by[source]
    ]
    label = ", ".join(f"{number} {words}" for _, words, _, number in told)
    return {
        "whole": whole,
        "told": told,
        "bar": charts.parts([(tone, number) for _, _, tone, number in told], label=label),
    }
