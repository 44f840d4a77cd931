"""A process without a worker's tick looks at the clock and the lanes as long as it lives."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from orchestrator import runtime as runtime_module
from orchestrator.runtime import Runtime, keep_current
from tests.store.rows import execute


class Log:
    """Keeps the names of what went wrong."""

    def __init__(self) -> None:
        self.failed = asyncio.Queue[str]()

    def exception(self, name: str) -> None:
        self.failed.put_nowait(name)


async def test_a_look_that_fails_is_logged_and_the_next_one_sees_the_lanes(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "_CURRENT_EVERY_S", 0.001)
    log = runtime.log = Log()
    runtime.lanes = {}
    await execute(runtime.store, "ALTER TABLE lanes RENAME TO elsewhere")
    async with AsyncExitStack() as stack:
        keep_current(runtime, stack)
        async with asyncio.timeout(10):
            assert await log.failed.get() == "look.failed"
        await execute(runtime.store, "ALTER TABLE elsewhere RENAME TO lanes")
        async with asyncio.timeout(10):
            while not runtime.lanes:  # noqa: ASYNC110  a look tells nobody
                await asyncio.sleep(0.001)
