"""The chart of ends: what somebody cancelled stands apart from what failed."""

from __future__ import annotations

from orchestrator.clock import HOUR, MINUTE
from orchestrator.web.dashboard import trends
from orchestrator.web.dashboard.periods import Period


def test_cancelled_jobs_are_a_colour_of_their_own() -> None:
    period = Period("1h", "hour", HOUR, MINUTE, "minute", 0)
    found = {"completed": {0: 7}, "failed": {0: 310}, "reason_cancelled": {0: 300}}
    drawing = trends.ended(period, found)["drawing"]
    assert "7 completed, 10 failed, 300 cancelled" in drawing
    assert 'class="tone-idle"' in drawing
