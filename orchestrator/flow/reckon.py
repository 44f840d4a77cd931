"""Keeps the figures that people look at: counts the event log and what this process saw, and reports in."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version

from orchestrator.clock import DAY
from orchestrator.errors import Busy
from orchestrator.runtime import Runtime
from orchestrator.store import figures, processes
from orchestrator.store.processes import Process
from orchestrator.store.trouble import CommitLost

# SQLite counts in the event loop: short rounds keep a move's way short.
_EVENTS_AT_A_TIME = 500
_REPORT_EVERY_S = 5.0
_MISSED_AFTER_MS = DAY
_KEPT_MS = {"minute": DAY // 4, "quarter": 3 * DAY, "hour": 400 * DAY}


async def count_events(runtime: Runtime) -> bool:
    """One round; whether there may be more to count right now."""
    began = time.monotonic()
    counted = await runtime.store.write(figures.follow, most=_EVENTS_AT_A_TIME)
    # A quarter of the time at most: whoever moves jobs or asks for them goes first.
    await asyncio.sleep(3 * (time.monotonic() - began))
    return counted == _EVENTS_AT_A_TIME


async def write_down(runtime: Runtime) -> None:
    """What this process counted by itself. Raises Busy, and keeps it then unless it may be written."""
    counts = runtime.meters.take()
    if not counts:
        return
    now = runtime.clock.now()
    by_key = Counter(
        {figures.Key(now, one.lane_id, one.tenant_id, one.name): count for one, count in counts.items()}
    )
    try:
        await runtime.store.write(figures.add, counts=by_key)
    except CommitLost:
        raise
    except Busy:
        runtime.meters.give_back(counts)
        raise


async def forget_old(runtime: Runtime) -> None:
    now = runtime.clock.now()
    before = {span: now - kept for span, kept in _KEPT_MS.items()}
    await runtime.store.write(figures.delete_old, before=before)
    await runtime.store.write(processes.forget, seen_before=now - _MISSED_AFTER_MS)


async def find_api(runtime: Runtime) -> None:
    """A worker without PUBLIC_URL names the address of the API in what it tells."""
    if not runtime.settings.public_url:
        runtime.base_url = await runtime.store.read(processes.api_url) or runtime.base_url


async def keep_reporting(
    runtime: Runtime, *, name: str, kind: str, drains: Callable[[], dict[str, int]]
) -> None:
    """Write down every few seconds that this process lives, until it is cancelled; then that it ends."""
    started_at = runtime.clock.now()
    try:
        while True:
            await runtime.bell.look()
            process = Process(
                name=name,
                kind=kind,
                version=version("orchestrator"),
                started_at=started_at,
                seen_at=runtime.clock.now(),
                is_bell_up=runtime.bell.is_up,
                drains=drains(),
                url="" if kind == "worker" else runtime.base_url,
            )
            try:
                await _report(runtime, process)
            except Busy:
                pass  # the next report may reach the database again
            except Exception:  # a process that lives must not look dead
                runtime.log.exception("report.failed")
            await asyncio.sleep(_REPORT_EVERY_S)
    finally:
        with contextlib.suppress(Busy):
            await write_down(runtime)
            await runtime.store.write(processes.leave, name=name)


async def _report(runtime: Runtime, process: Process) -> None:
    await write_down(runtime)
    await runtime.store.write(processes.report, process=process)
    if process.kind == "worker":
        await find_api(runtime)
