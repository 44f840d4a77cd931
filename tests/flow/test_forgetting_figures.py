"""Figures are forgotten with time, but for the sums that monitoring counts on."""

from __future__ import annotations

from collections import Counter

from orchestrator.clock import DAY
from orchestrator.flow import reckon
from orchestrator.runtime import Runtime
from orchestrator.store import figures
from orchestrator.store.figures import Key
from tests.factories import IMAGE_LANE, TENANT
from tests.store.rows import select


async def test_sums_of_all_time_outlive_those_of_hours(runtime: Runtime) -> None:
    now = runtime.clock.now()
    for at, times in ((now - 500 * DAY, 3), (now, 4)):
        counts = Counter({Key(at, IMAGE_LANE, TENANT, "completed"): times})
        await runtime.store.write(figures.add, counts=counts)
    await reckon.forget_old(runtime)
    kept = await select(runtime.store, "SELECT span, at = 0, count FROM figures ORDER BY span")
    assert [(row[0], bool(row[1]), row[2]) for row in kept] == [
        ("ever", True, 7),
        ("hour", False, 4),
        ("minute", False, 4),
        ("quarter", False, 4),
    ]
