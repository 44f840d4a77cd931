"""The worker's tick, which waits for no work."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.flow import sweep
from orchestrator.runtime import Runtime
from orchestrator.worker import Worker


async def test_a_sweep_that_takes_long_keeps_no_tick_waiting(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, end, ticked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def sweep_long(_runtime: Runtime) -> None:
        began.set()
        await end.wait()

    monkeypatch.setattr(sweep, "sweep_jobs", sweep_long)
    worker = Worker(runtime, on_tick=ticked.set)
    worker.start()
    try:
        async with asyncio.timeout(20):
            await began.wait()
            for _ in range(2):
                ticked.clear()
                await ticked.wait()
        assert "sweep" not in worker.drained()
    finally:
        end.set()
        await worker.stop()
