"""What a process counts by itself, until it is written down with the other figures."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Count(NamedTuple):
    """What is counted: a figure of a lane and a tenant, each "" where there is none."""

    name: str
    lane_id: str = ""
    tenant_id: str = ""


class Meters:
    """Counts in memory; at most the last seconds are lost with the process."""

    def __init__(self) -> None:
        self._counts: Counter[Count] = Counter()

    def count(self, name: str, *, lane_id: str = "", tenant_id: str = "") -> None:
        self._counts[Count(name, lane_id, tenant_id)] += 1

    def take(self) -> Counter[Count]:
        """All that was counted since the last time."""
        counts, self._counts = self._counts, Counter()
        return counts

    def give_back(self, counts: Counter[Count]) -> None:
        """It could not be written down yet."""
        self._counts.update(counts)
