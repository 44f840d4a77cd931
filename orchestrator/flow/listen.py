"""What somebody who listens gets: what the log holds since their cursor, then what happens, in one order.

Nothing is lost or told twice where the two meet: the listener sits down first, and the log is then read up
to the cursor from which on it is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from orchestrator.errors import NotFound
from orchestrator.follower import Listener
from orchestrator.job import ENDED
from orchestrator.runtime import Runtime
from orchestrator.store import batches, event_log, views
from orchestrator.store.event_log import Cursor, EventRow

HEARTBEAT_S = 15.0
"""A quiet stream says that it lives this often."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose events: a tenant's, or of those one job's or one batch's."""

    tenant_id: str
    batch_id: str | None = None
    job_id: str | None = None

    @property
    def topic(self) -> str:
        if self.job_id is not None:
            return event_log.topic("job", self.job_id)
        if self.batch_id is not None:
            return event_log.topic("batch", self.batch_id)
        return event_log.topic("tenant", self.tenant_id)


async def check_subject(runtime: Runtime, subject: Subject) -> None:
    """Raises NotFound for a job or a batch that is unknown or another tenant's."""
    tenant_id = subject.tenant_id
    if subject.job_id is not None:
        job = await runtime.store.read(views.find_job, tenant_id=tenant_id, job_id=subject.job_id)
        if job is None:
            raise NotFound("There is no such job.")
    if subject.batch_id is not None:
        batch = await runtime.store.read(batches.find, tenant_id=tenant_id, batch_id=subject.batch_id)
        if batch is None:
            raise NotFound("There is no such batch.")


class Feed:
    """One listener's events. `position` is behind all that it has got; `close` gives its seat back."""

    def __init__(self, runtime: Runtime, subject: Subject, since: Cursor, *, until_end: bool) -> None:
        """`until_end`: of one job, and over when that has ended. Raises TooManyStreams."""
        self.position = since
        self._store, self._follower = runtime.store, runtime.follower
        self._subject = subject
        self._until_end = until_end
        self._listener: Listener[EventRow] = Listener()
        self._stack = ExitStack()
        self._stack.enter_context(self._follower.seat(subject.tenant_id))

    @property
    def is_too_slow(self) -> bool:
        """It ended because more was waiting than is kept for one listener."""
        return self._listener.is_too_slow

    def close(self) -> None:
        self._stack.close()

    async def events(self) -> AsyncIterator[Sequence[EventRow]]:
        """Some at a time, and none as a heartbeat; ends when this process is about to."""
        if self._subject.job_id is None:
            async for events in self._from_log(until=None):
                yield events
        topic, listener = self._subject.topic, self._listener
        told_from = await self._follower.listen(topic, listener)
        self._stack.callback(self._follower.leave, topic, listener)
        if self._subject.job_id is None:
            async for events in self._from_log(until=told_from):
                yield events
        else:
            stored = await self._of_job(self._subject.job_id, told_from)
            yield self._news(stored)
            self._move_to(told_from)
            if self._is_over(stored):
                return
        async for events in self._live():
            yield events

    async def _from_log(self, *, until: Cursor | None) -> AsyncIterator[Sequence[EventRow]]:
        """Page by page, so that the log may be longer than what memory holds."""
        while not self._follower.is_stopped:
            events, reached = await self._store.read(
                event_log.events_after,
                cursor=self.position,
                until=until,
                tenant_id=self._subject.tenant_id,
                batch_id=self._subject.batch_id,
            )
            if reached == self.position:
                return
            if events:
                yield events
            self._move_to(reached)

    async def _of_job(self, job_id: str, until: Cursor) -> Sequence[EventRow]:
        return await self._store.read(
            event_log.events_of_job, tenant_id=self._subject.tenant_id, job_id=job_id, until=until
        )

    async def _live(self) -> AsyncIterator[Sequence[EventRow]]:
        while True:
            came = await self._listener.next(within_s=HEARTBEAT_S)
            if self._listener.is_closed:
                return
            if not came:
                # Whoever comes back with this need not look through what others were told meanwhile.
                self._move_to(self._follower.cursor)
            news = self._news(came)
            yield news
            if news:
                self._move_to(news[-1].cursor)
            if self._is_over(news):
                return

    def _news(self, events: Sequence[EventRow]) -> Sequence[EventRow]:
        """The log may have told already what the follower comes to later."""
        return [event for event in events if event.cursor > self.position]

    def _move_to(self, cursor: Cursor) -> None:
        self.position = max(self.position, cursor)

    def _is_over(self, events: Sequence[EventRow]) -> bool:
        return self._until_end and bool(events) and events[-1].state in ENDED
