"""The periods that charts can show, and how their points in time are laid out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from orchestrator.clock import DAY, HOUR, MINUTE, to_rfc3339
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.words import duration


class Period(msgspec.Struct, frozen=True):
    """`label` is as after "the last"; `span` names the figures it is made of, `step` how many ms one point
    stands for.
    """

    name: str
    label: str
    length: int
    step: int
    span: str
    start: int

    @property
    def points(self) -> list[int]:
        """The beginning of each step; the last is the one under way."""
        return list(range(self.start, self.start + self.length, self.step))

    @property
    def sums(self) -> tuple[str, int]:
        """Span and beginning for sums over all of it: a day has many minutes, and few hours."""
        return (self.span, self.start) if self.length <= HOUR else ("hour", self.start - self.start % HOUR)

    @property
    def each(self) -> str:
        """One step in words, as after "per"."""
        return "minute" if self.step == MINUTE else duration(self.step)

    @property
    def labels(self) -> list[str]:
        """A few times below a chart, UTC."""
        is_days = self.length > 2 * DAY
        fourths = [self.start + self.length * n // 4 for n in range(5)]
        return [to_rfc3339(at)[5:10] if is_days else to_rfc3339(at)[11:16] for at in fourths]

    def hint(self, at: int) -> str:
        return f"{to_rfc3339(at)[:10]} {to_rfc3339(at)[11:16]} UTC"

    def laid_out(self, found: Mapping[int, float]) -> list[float]:
        """The sum of each step."""
        sums = dict.fromkeys(self.points, 0.0)
        for at, value in found.items():
            place = self.start + (at - self.start) // self.step * self.step
            if place in sums:
                sums[place] += value
        return list(sums.values())


_PERIODS = (
    ("1h", "1 h", "hour", HOUR, MINUTE, "minute"),
    ("24h", "24 h", "24 hours", DAY, 15 * MINUTE, "quarter"),
    ("7d", "7 d", "7 days", 7 * DAY, 2 * HOUR, "hour"),
)
CHOICES = tuple((name, tab) for name, tab, *_ in _PERIODS)


def chosen(look: Look) -> Period:
    """What `?period=` asks for; an hour where it asks for nothing known."""
    asked = look.asked("period", "1h")
    name, _, label, length, step, span = next((one for one in _PERIODS if one[0] == asked), _PERIODS[0])
    end = look.now - look.now % step + step
    return Period(name, label, length, step, span, end - length)
