"""Who waits in this process for a job to end: sync mode and `--wait`.

An end that this process applied wakes its waiters at once. Ends applied elsewhere are found by one
query for all waiters together, ten times a second and only while somebody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from orchestrator.errors import Busy

Find = Callable[[Sequence[str]], Awaitable[Sequence[str]]]

LOOK_EVERY_S = 0.1
MOST_AT_A_TIME = 500


class _Waiter:
    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.has_ended = False


class Waits:
    """`find_ended(ids)` answers which of these jobs have ended."""

    def __init__(self, find_ended: Find) -> None:
        self._find_ended = find_ended
        self._waiters: dict[str, set[_Waiter]] = defaultdict(set)
        self._looker: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def for_end(self, job_id: str, *, timeout_s: float) -> bool:
        """True once the job has ended; False after the time-out, or at once when this process stops."""
        waiter = _Waiter()
        self._waiters[job_id].add(waiter)
        if self._looker is None:
            self._looker = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(0 if self._is_stopped else timeout_s):
                await waiter.woken.wait()
        except TimeoutError:
            return False
        finally:
            self._forget(job_id, waiter)
        return waiter.has_ended

    def wake(self, job_id: str) -> None:
        """The job has ended."""
        for waiter in self._waiters.get(job_id, ()):
            waiter.has_ended = True
            waiter.woken.set()

    def stop(self) -> None:
        """Send everybody home: this process is about to end."""
        self._is_stopped = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.woken.set()

    def _forget(self, job_id: str, waiter: _Waiter) -> None:
        self._waiters[job_id].discard(waiter)
        if not self._waiters[job_id]:
            del self._waiters[job_id]

    async def _look(self) -> None:
        try:
            while self._waiters:
                await asyncio.sleep(LOOK_EVERY_S)
                waited = list(self._waiters)
                for start in range(0, len(waited), MOST_AT_A_TIME):
                    await self._wake_ended(waited[start : start + MOST_AT_A_TIME])
        finally:
            self._looker = None

    async def _wake_ended(self, job_ids: Sequence[str]) -> None:
        with contextlib.suppress(Busy):  # the next look may reach the database again
            for job_id in await self._find_ended(job_ids):
                self.wake(job_id)
