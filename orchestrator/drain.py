"""A drain: does all the work of one kind, one round after another, never twice at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from orchestrator.errors import Busy


class Slots:
    """Work side by side, at most so much at a time; one that fails is logged and stops nobody."""

    def __init__(self, most: int, log: Any) -> None:
        self._most = most
        self._log = log
        self._running: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    async def free(self) -> int:
        """How many may start now; waits for the first."""
        while len(self._running) >= self._most:
            self._freed.clear()
            await self._freed.wait()
        return self._most - len(self._running)

    def start(self, work: Coroutine[Any, Any, None], on_end: Callable[[], None] | None = None) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(lambda task: self._end(task, on_end))

    async def stop(self, *, grace_s: float) -> None:
        """Wait this long for what runs, then cancel it."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()

    def _end(self, task: asyncio.Task[None], on_end: Callable[[], None] | None) -> None:
        self._running.discard(task)
        self._freed.set()
        if on_end is not None:
            on_end()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Busy):
            self._log.warning("work.waits", because=error.in_full)
        elif error is not None:
            self._log.error("work.failed", exc_info=error)


class Drain:
    """Single-flight: a start while it runs makes it look once more before it ends."""

    def __init__(self, name: str, work_once: Callable[[], Awaitable[bool]], log: Any) -> None:
        """`work_once` does one round and says whether there may be more to do right now."""
        self.name = name
        self._work_once = work_once
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._is_stopped = False
        self.rested_at: float | None = None
        """When it last came to the end of its work, in seconds of `time.monotonic`."""

    def start(self) -> None:
        """Never waits: the work goes on in a task of its own."""
        self._again = True
        if self._task is None and not self._is_stopped:
            self._task = asyncio.create_task(self._run(), name=f"drain-{self.name}")

    async def stop(self, *, grace_s: float) -> None:
        """Begin no further round, and give the one under way this long."""
        self._is_stopped = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace_s)
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._again and not self._is_stopped:
                self._again = False
                while await self._work_once():
                    if self._is_stopped:
                        break
                self.rested_at = time.monotonic()
        except Busy as trouble:
            self._log.warning("drain.waits", drain=self.name, because=trouble.in_full)
        except Exception:
            self._log.exception("drain.failed", drain=self.name)
        finally:
            self._task = None
