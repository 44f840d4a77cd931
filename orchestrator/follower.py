"""Tells everybody in this process who listens what is new in the event log, as it is committed.

One reader serves all listeners, and reads only while there are any: at once when this process has
committed something, else several times a second. Each listener has a bounded queue; one that does not keep
up is sent away, and finds the rest in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from orchestrator.errors import Busy, TooManyStreams

LOOK_EVERY_S, LONGEST_PAUSE_S, PAUSE_GROWTH = 0.2, 1.0, 1.5
CALM_S = 0.02
"""Commits that follow one another faster than this are looked at together."""
MOST_WAITING = 2_000
"""Events that may wait for one listener."""
MOST_OF_A_TENANT, MOST_LISTENERS = 50, 1_000


Event = TypeVar("Event")
Cursor = TypeVar("Cursor")
Read = Callable[[Cursor], Awaitable[tuple[Sequence[Event], Cursor]]]


class Listener(Generic[Event]):
    """The events of one topic since it began to listen, until `is_closed`."""

    def __init__(self) -> None:
        self.is_closed = False
        self.is_too_slow = False
        self._waiting: deque[Event] = deque()
        self._woken = asyncio.Event()

    async def next(self, *, within_s: float) -> Sequence[Event]:
        """All that has come since the last call; nothing when nothing came in time, or it is closed."""
        if not self._waiting and not self.is_closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._woken.wait()
        self._woken.clear()
        came, self._waiting = self._waiting, deque()
        return came

    def put(self, event: Event) -> None:
        if self.is_closed:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.is_too_slow = True
            self._waiting.clear()
            self.close()
        else:
            self._waiting.append(event)
        self._woken.set()

    def close(self) -> None:
        self.is_closed = True
        self._woken.set()


class Follower(Generic[Event, Cursor]):
    """`start` is where the log begins, `newest()` answers where it ends now, `read(cursor)` what follows and
    where that ends (there, when nothing does), and `topics(event)` under which names listeners wait for it.
    """

    def __init__(
        self,
        *,
        start: Cursor,
        newest: Callable[[], Awaitable[Cursor]],
        read: Read[Cursor, Event],
        topics: Callable[[Event], Iterable[str]],
    ) -> None:
        self._newest = newest
        self._read = read
        self._topics = topics
        self.is_stopped = False
        self.cursor = start
        """All up to here has been told."""
        self._by_topic: dict[str, set[Listener[Event]]] = defaultdict(set)
        self._of_tenant: dict[str, int] = defaultdict(int)
        self._following: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._woken = asyncio.Event()

    @contextmanager
    def seat(self, tenant_id: str) -> Iterator[None]:
        """A place among the listeners; raises TooManyStreams where all are taken."""
        if self._of_tenant[tenant_id] >= MOST_OF_A_TENANT:
            raise TooManyStreams(
                f"{MOST_OF_A_TENANT} streams of events are open for this tenant; close one first."
            )
        if sum(self._of_tenant.values()) >= MOST_LISTENERS:
            raise TooManyStreams(
                "This server has as many streams of events open as it can serve; try again later."
            )
        self._of_tenant[tenant_id] += 1
        try:
            yield
        finally:
            self._of_tenant[tenant_id] -= 1
            if not self._of_tenant[tenant_id]:
                del self._of_tenant[tenant_id]

    async def listen(self, topic: str, listener: Listener[Event]) -> Cursor:
        """From the cursor that this answers on, the listener gets everything under this name.

        Raises Busy when the database is in trouble.
        """
        async with self._beginning:
            if self._following is None:
                self.cursor = await self._newest()
                self._following = asyncio.create_task(self._follow(), name="follow-events")
        if self.is_stopped:
            listener.close()
        self._by_topic[topic].add(listener)
        return self.cursor

    def leave(self, topic: str, listener: Listener[Event]) -> None:
        self._by_topic[topic].discard(listener)
        if not self._by_topic[topic]:
            del self._by_topic[topic]

    def wake(self) -> None:
        """This process has committed something."""
        self._woken.set()

    def stop(self) -> None:
        """Send everybody home: this process is about to end."""
        self.is_stopped = True
        self._close_all()
        self.wake()

    def _close_all(self) -> None:
        for listeners in self._by_topic.values():
            for listener in listeners:
                listener.close()

    async def _follow(self) -> None:
        pause_s = LOOK_EVERY_S
        try:
            while self._by_topic:
                is_woken = await self._wait(pause_s)
                is_news = await self._look()
                is_quiet = not is_woken and not is_news
                pause_s = min(LONGEST_PAUSE_S, pause_s * PAUSE_GROWTH) if is_quiet else LOOK_EVERY_S
        finally:
            self._following = None
            self._close_all()  # whoever is left has nobody to tell it anything any more

    async def _wait(self, pause_s: float) -> bool:
        """True when this process has committed something."""
        await asyncio.sleep(CALM_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        is_woken = self._woken.is_set()
        self._woken.clear()
        return is_woken

    async def _look(self) -> bool:
        """True when there was something new."""
        began = self.cursor
        with contextlib.suppress(Busy):  # the next look may reach the database again
            while True:
                events, reached = await self._read(self.cursor)
                for event in events:
                    self._tell(event)
                if reached == self.cursor:
                    break
                self.cursor = reached
                await asyncio.sleep(0)
        return began != self.cursor

    def _tell(self, event: Event) -> None:
        for topic in self._topics(event):
            for listener in self._by_topic.get(topic, ()):
                listener.put(event)
