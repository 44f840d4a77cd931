"""A drain: does all the work of one kind, one round after another, never twice at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from orchestrator.errors import Busy


async def run_each(work: Iterable[Coroutine[Any, Any, None]], log: Any) -> None:
    """Run all side by side; one that fails is logged and does not stop its neighbours."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, Busy):
            log.warning("work.waits", because=str(result.cause or result))
        elif isinstance(result, Exception):
            log.error("work.failed", exc_info=result)


class Drain:
    """Single-flight: a start while it runs makes it look once more before it ends."""

    def __init__(self, name: str, work_once: Callable[[], Awaitable[bool]], log: Any) -> None:
        """`work_once` does one round and says whether there may be more to do right now."""
        self._name = name
        self._work_once = work_once
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._is_stopped = False

    def start(self) -> None:
        """Never waits: the work goes on in a task of its own."""
        self._again = True
        if self._task is None and not self._is_stopped:
            self._task = asyncio.create_task(self._run(), name=f"drain-{self._name}")

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
        except Busy as trouble:
            self._log.warning("drain.waits", drain=self._name, because=str(trouble.cause or trouble))
        except Exception:
            self._log.exception("drain.failed", drain=self._name)
        finally:
            self._task = None
