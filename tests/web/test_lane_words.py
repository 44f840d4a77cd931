"""A lane at a glance."""

from __future__ import annotations

from collections import Counter

from orchestrator.store.lane_board import LaneBoard
from orchestrator.web.dashboard.lane_words import seen
from tests.web.shown import NOW
from tests.web.test_troubles import ACCOUNT, OPEN


def test_what_somebody_cancelled_does_not_count_against_the_lane() -> None:
    board = LaneBoard(
        accounts=[ACCOUNT],
        lanes=[OPEN],
        in_flight={},
        stages={},
        sums={OPEN.id: Counter(completed=90, failed=310)},
        outcomes={},
        reasons={OPEN.id: Counter(cancelled=300, rejected=10)},
        runs={},
    )
    lane = seen(board, OPEN, now=NOW)
    assert (lane.failed, lane.success) == (10, 0.9)
