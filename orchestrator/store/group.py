"""Grouped writes: what many callers want written within a few milliseconds becomes one transaction.

Each caller awaits its own future; a cancelled caller never cancels the group. A group that the
database refuses is halved until the one bad row stands alone and fails alone. A group that waits too
long for a lock is put aside and halved there, while the others are written. A group whose COMMIT was
lost is tried again and told so, and finds what it had already written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from orchestrator.errors import Busy
from orchestrator.store import dialect
from orchestrator.store.database import Database
from orchestrator.store.trouble import CommitLost, DatabaseTrouble, TookTooLong

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)

GATHER_S = 0.01
QUIET_PASSES = 3
MOST = 200
BOUND = 20_000
PAUSES_S = (0.0, 0.05, 0.2, 1.0)
# For so long what was put aside is tried; a piece of several waits only so long each time.
ASIDE_S = 15.0
_PIECE_WAIT_MS = 250
# The lock may be kept for hours: for so long no group waits for one as long as the first did.
_WARY_S = 60.0


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


class _Piece(NamedTuple, Generic[Item]):
    """Part of a group that waited too long for a lock, and what that told."""

    group: list[_Waiting[Item]]
    give_up_at: float
    trouble: TookTooLong


class Unwanted(Exception):
    """Who asked for it went away before it was its turn: it was not written."""


class Grouper(Generic[Item]):
    """Gathers items for a moment and hands them to `apply` in one transaction."""

    def __init__(self, database: Database, apply: Apply[Item]) -> None:
        self._database = database
        self._apply = apply
        self._waiting: deque[_Waiting[Item]] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._aside: deque[_Piece[Item]] = deque()
        self._sorter: asyncio.Task[None] | None = None
        self._wary_until = 0.0

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
        if self._sorter is not None:
            await self._sorter

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

    async def _settle(
        self, group: list[_Waiting[Item]], *, may_be_written: bool, give_up_at: float | None = None
    ) -> None:
        """`give_up_at` says until when what was put aside before is tried."""
        try:
            wait_ms = self._wait_ms(group, is_aside=give_up_at is not None)
            items = [one.item for one in group]
            results = await self._write(items, may_be_written=may_be_written, wait_ms=wait_ms)
        except TookTooLong as trouble:
            self._put_aside(group, trouble, give_up_at)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, DatabaseTrouble):
                # The refusal may have come to a retry, after a COMMIT that was lost.
                for half in _halves(group):
                    await self._settle(half, may_be_written=True, give_up_at=give_up_at)
                return
            _fail(group, error)
        else:
            for one, result in zip(group, results, strict=True):
                if not one.future.done():
                    one.future.set_result(result)

    def _wait_ms(self, group: list[_Waiting[Item]], *, is_aside: bool) -> int | None:
        """How long it may wait for a lock; None as long as every transaction may."""
        if is_aside and len(group) > 1:
            return _PIECE_WAIT_MS
        is_wary = asyncio.get_running_loop().time() < self._wary_until
        return dialect.BRIEFLY_MS if is_aside or is_wary else None

    async def _write(
        self, items: Sequence[Item], *, may_be_written: bool, wait_ms: int | None
    ) -> Sequence[Any]:
        """TookTooLong when nothing was written, as far as this knows."""
        lost: CommitLost | None = None
        for pause_s in PAUSES_S:
            is_retry = may_be_written or pause_s > 0
            work = partial(self._apply_waiting, items=items, is_retry=is_retry, wait_ms=wait_ms)
            try:
                await asyncio.sleep(pause_s)
                return await self._database.write(work)
            except DatabaseTrouble as trouble:
                lost = trouble if isinstance(trouble, CommitLost) else lost
                if isinstance(trouble, TookTooLong) and lost is None:
                    raise
                if pause_s == PAUSES_S[-1]:
                    raise lost or trouble from trouble
        raise AssertionError("the last pause returns or raises")

    def _apply_waiting(
        self, connection: Connection, *, items: Sequence[Item], is_retry: bool, wait_ms: int | None
    ) -> Sequence[Any]:
        if wait_ms is not None:
            dialect.wait_at_most(connection, wait_ms)
        return self._apply(connection, items=items, is_retry=is_retry)

    def _put_aside(self, group: list[_Waiting[Item]], trouble: TookTooLong, give_up_at: float | None) -> None:
        """One of these needs what somebody keeps locked: the halves tell which, and the rest is written."""
        now = asyncio.get_running_loop().time()
        self._wary_until = now + _WARY_S
        for piece in _halves(group) if len(group) > 1 else (group,):
            self._aside.append(_Piece(piece, give_up_at or now + ASIDE_S, trouble))
        if self._sorter is None:
            self._sorter = asyncio.create_task(self._settle_aside())

    async def _settle_aside(self) -> None:
        """The larger pieces first: most of them wait for nothing, and those that do come again."""
        try:
            while self._aside:
                piece = self._aside.popleft()
                if asyncio.get_running_loop().time() < piece.give_up_at:
                    await self._settle(piece.group, may_be_written=True, give_up_at=piece.give_up_at)
                else:
                    _fail(piece.group, piece.trouble)
        finally:
            self._sorter = None


def _halves(group: list[_Waiting[Item]]) -> tuple[list[_Waiting[Item]], list[_Waiting[Item]]]:
    half = len(group) // 2
    return group[:half], group[half:]


def _fail(group: list[_Waiting[Item]], error: Exception) -> None:
    for one in group:
        if not one.future.done():
            one.future.set_exception(error)


def _is_wanted(one: _Waiting[Any]) -> bool:
    """Tells those who wait for what is not."""
    if one.is_wanted is None or one.is_wanted():
        return True
    if not one.future.done():
        one.future.set_exception(Unwanted())
    return False
