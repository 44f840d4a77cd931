"""Grouped writes: what many callers want written within a few milliseconds becomes one transaction.

Each caller awaits its own future; a cancelled caller never cancels the group. A group that the
database refuses is halved until the one bad row stands alone and fails alone. A group whose COMMIT
was lost is tried again and told so, and finds what it had already written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from orchestrator.errors import Busy
from orchestrator.store.database import Database
from orchestrator.store.trouble import CommitLost, DatabaseTrouble

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)

GATHER_S = 0.01
QUIET_PASSES = 3
MOST = 200
BOUND = 20_000
PAUSES_S = (0.0, 0.05, 0.2, 1.0)


class Apply(Protocol[Item_contra]):
    """Writes items and answers with one result per item, in order."""

    def __call__(
        self, connection: Connection, /, *, items: Sequence[Item_contra], is_retry: bool
    ) -> Sequence[Any]: ...


class _Waiting(NamedTuple, Generic[Item]):
    item: Item
    future: asyncio.Future[Any]
    may_be_written: bool
    is_wanted: Callable[[], bool] | None


class Unwanted(Exception):
    """Who asked for it went away before it was its turn: it was not written."""


class Grouper(Generic[Item]):
    """Gathers items for a moment and hands them to `apply` in one transaction."""

    def __init__(self, database: Database, apply: Apply[Item]) -> None:
        self._database = database
        self._apply = apply
        self._waiting: deque[_Waiting[Item]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    async def put(
        self, item: Item, *, may_be_written: bool = False, is_wanted: Callable[[], bool] | None = None
    ) -> Any:
        """The item's result, after the commit. Busy when the buffer is full or the database in trouble;
        CommitLost when it may be stored all the same: put again, it says so itself. Unwanted where
        `is_wanted` says no when its turn comes.
        """
        if len(self._waiting) >= BOUND:
            raise Busy(cause="the write buffer is full")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, future, may_be_written, is_wanted))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_all())
        return await future

    async def close(self) -> None:
        """Write what is waiting."""
        if self._flusher is not None:
            await self._flusher

    async def _flush_all(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                count = min(MOST, len(self._waiting))
                group = [one for _ in range(count) if _is_wanted(one := self._waiting.popleft())]
                if group:
                    await self._settle(group, may_be_written=any(one.may_be_written for one in group))
        finally:
            self._flusher = None

    async def _gather(self) -> None:
        """Wait as long as others keep coming: some passes of the event loop that bring nobody end it.

        A fixed time would be too long when all who could come are here, and too short under load.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GATHER_S
        seen, quiet = len(self._waiting), 0
        while quiet < QUIET_PASSES and seen < MOST and loop.time() < deadline:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)

    async def _settle(self, group: list[_Waiting[Item]], *, may_be_written: bool) -> None:
        try:
            results = await self._write([one.item for one in group], may_be_written=may_be_written)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, DatabaseTrouble):
                # The refusal may have come to a retry, after a COMMIT that was lost.
                half = len(group) // 2
                await self._settle(group[:half], may_be_written=True)
                await self._settle(group[half:], may_be_written=True)
                return
            for one in group:
                if not one.future.done():
                    one.future.set_exception(error)
            return
        for one, result in zip(group, results, strict=True):
            if not one.future.done():
                one.future.set_result(result)

    async def _write(self, items: Sequence[Item], *, may_be_written: bool) -> Sequence[Any]:
        lost: CommitLost | None = None
        for pause_s in PAUSES_S:
            work = partial(self._apply, items=items, is_retry=may_be_written or pause_s > 0)
            try:
                await asyncio.sleep(pause_s)
                return await self._database.write(work)
            except DatabaseTrouble as trouble:
                lost = trouble if isinstance(trouble, CommitLost) else lost
                if pause_s == PAUSES_S[-1]:
                    raise lost or trouble from trouble
        raise AssertionError("the last pause returns or raises")


def _is_wanted(one: _Waiting[Any]) -> bool:
    """Tells those who wait for what is not."""
    if one.is_wanted is None or one.is_wanted():
        return True
    if not one.future.done():
        one.future.set_exception(Unwanted())
    return False
