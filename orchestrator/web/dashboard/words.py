"""Numbers and times in words for people; the templates' filters."""

from __future__ import annotations

import html
import re

from orchestrator.clock import to_rfc3339

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_MILLION, _BILLION = 1_000_000, 1_000_000_000
_ID_SHOWN = 8
# What is no text of HTML, also where it was cut off; `a < b` is text.
_TAGS = re.compile(
    r"<(script|style)\b.*?(</\1\s*>|$)|<!--.*?(-->|$)|</?[a-z!][^<>]*(>|$)", re.IGNORECASE | re.DOTALL
)


def duration(ms: float | None) -> str:
    """`85 ms`, `3.2 s`, `4 min 10 s`, `25 min`, `2 h 10 min`, `3 d 4 h`; a dash for None."""
    if ms is None:
        return "–"
    if round(ms) < 1_000:
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    number = next(number for number, (size, _) in enumerate(_UNITS) if seconds >= size)
    (size, unit), (below, unit_below) = _UNITS[number], _UNITS[number + 1]
    whole, rest = divmod(seconds, size)
    shown_rest = f" {rest // below:.0f} {unit_below}" if rest >= below and whole < 10 else ""
    return f"{whole:.0f} {unit}{shown_rest}"


def count(number: float | None) -> str:
    """`1,234`, `999,999`, `7.0 M`; a dash for None."""
    if number is None:
        return "–"
    if round(abs(number)) < _MILLION:
        return f"{number:,.0f}"
    millions = round(number / _MILLION, 1)
    return f"{millions:.1f} M" if abs(millions) < 1_000 else f"{number / _BILLION:.1f} G"


def percent(share: float | None) -> str:
    """Of a share between 0 and 1: `97 %`, `99.4 %`, `> 99.9 %`; a dash for None. Only nothing is `0 %`, and
    only all is `100 %`.
    """
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    shown = f"{100 * share:.1f}" if 0.9 < share < 1 or 0 < share < 0.1 else f"{100 * share:.0f}"
    return f"{shown} %"


def clock_time(at: int | None) -> str:
    """`2026-01-02 03:04:05` in UTC; a dash for None."""
    return "–" if at is None else to_rfc3339(at)[:19].replace("T", " ")


def short_id(identifier: str) -> str:
    """The last eight characters: the first are the time, and alike for neighbours."""
    return identifier[-_ID_SHOWN:]


def plain(text: str, *, most: int = 80) -> str:
    """Foreign text for a headline: no tags, white space folded, and no more than so many characters."""
    folded = " ".join(html.unescape(_TAGS.sub(" ", text)).split())
    return folded if len(folded) <= most else f"{folded[: most - 1].rstrip()}…"


def words(name: str | None) -> str:
    """`in_doubt` as `in doubt`."""
    return (name or "").replace("_", " ")
