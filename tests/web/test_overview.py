"""The strip of stages on the dashboard's first page."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.store.board import COUNTED_UP_TO, FirstPage, Seen
from orchestrator.web.dashboard.overview import Stage, stages_of


def held(*, by_batches: int, in_doubt: int) -> Stage:
    seen = Seen(dead=0, in_doubt=in_doubt, dead_deliveries=0, workers=1, waiting_since=None, ready_since=None)
    found = FirstPage(
        phases=Counter(),
        oldest={},
        held=by_batches,
        day={"completed": {}, "failed": {}},
        dwell={},
        trend={},
        totals={},
        seen=seen,
        accounts=[],
        newest=[],
        batches=[],
    )
    return stages_of(found, 0)[0]


@pytest.mark.parametrize(("in_doubt", "is_more"), [(COUNTED_UP_TO - 1, False), (COUNTED_UP_TO, True)])
def test_what_is_not_counted_to_its_end_is_shown_as_at_least_that(in_doubt: int, is_more: bool) -> None:
    stage = held(by_batches=7, in_doubt=in_doubt)
    assert (stage.count, stage.is_more) == (7 + in_doubt, is_more)
