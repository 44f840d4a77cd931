"""What a process counts by itself is written down once, or not at all."""

from __future__ import annotations

import pytest

from orchestrator.errors import Busy
from orchestrator.flow import reckon
from orchestrator.runtime import Runtime
from orchestrator.store.store import Store
from tests.store.faulty import FaultyDatabase
from tests.store.rows import select


@pytest.mark.parametrize(("lost_before", "lost_after"), [(1, 0), (0, 1)])
async def test_what_was_counted_is_written_once_whenever_the_connection_is_lost(
    runtime: Runtime, lost_before: int, lost_after: int
) -> None:
    database = FaultyDatabase(runtime.store.database, lost_before=lost_before, lost_after=lost_after)
    runtime.store = Store(database, runtime.clock)
    runtime.meters.count("logins")
    with pytest.raises(Busy):
        await reckon.write_down(runtime)
    await reckon.write_down(runtime)
    assert await select(runtime.store, "SELECT count FROM figures WHERE span = 'hour'") == [(1,)]
