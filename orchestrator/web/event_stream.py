"""Events as Server-Sent Events, each with its cursor as `id`: a client goes on where it was cut off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from orchestrator.clock import to_rfc3339
from orchestrator.errors import Busy, Forbidden, Unauthorized
from orchestrator.flow.listen import HEARTBEAT_S, Feed
from orchestrator.store.event_log import EventRow

NAMES = ("job.created", "job.processing", "job.completed", "job.failed", "batch.completed")
RESET = "reset"
RETRY_MS = 1_000
# A client that reads nothing for this long is given up.
_SEND_S = 20.0

_encoder = msgspec.json.Encoder()


class SeatedStream(EventSourceResponse):
    """An answer that goes on, and calls `close` however it ends, also before its first word. A client that
    reads nothing is given up, which is no defect.
    """

    def __init__(
        self, frames: AsyncIterator[ServerSentEvent], *, close: Callable[[], object], **options: Any
    ) -> None:
        super().__init__(frames, send_timeout=_SEND_S, **options)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with contextlib.suppress(SendTimeoutError):
                await super().__call__(scope, receive, send)
        finally:
            self._close()


class EventStream(SeatedStream):
    """The events of a feed; gives its seat back in the end."""

    def __init__(
        self, feed: Feed, *, names: frozenset[str], is_reset: bool, may_go_on: Callable[[], Awaitable[object]]
    ) -> None:
        """`names` are those that are told; `may_go_on` raises when the API key has lost its right."""
        frames = _frames(feed, names=names, is_reset=is_reset, may_go_on=may_go_on)
        super().__init__(frames, close=feed.close, ping=0, sep="\n")


async def _frames(
    feed: Feed, *, names: frozenset[str], is_reset: bool, may_go_on: Callable[[], Awaitable[object]]
) -> AsyncIterator[ServerSentEvent]:
    yield _frame(comment="events follow", id=str(feed.position), retry=RETRY_MS)
    if is_reset:
        told = {"because": "The log does not reach back to where you were: look at everything anew."}
        yield _frame(event=RESET, data=_encoder.encode(told).decode())
    checked_at = time.monotonic()
    # A database in trouble ends the stream: the client comes again, and misses nothing.
    with contextlib.suppress(Busy, Unauthorized, Forbidden):
        async for events in feed.events():
            for event in events:
                if name_of(event) in names:
                    yield _frame(
                        event=name_of(event),
                        id=str(event.cursor),
                        data=_encoder.encode(shown(event)).decode(),
                    )
            if not events:
                yield _frame(comment="still here", id=str(feed.position))
            if time.monotonic() - checked_at >= HEARTBEAT_S:
                await may_go_on()
                checked_at = time.monotonic()
    if feed.is_too_slow:
        yield _frame(comment="you read too slowly; come again with Last-Event-ID, nothing is lost")


def name_of(event: EventRow) -> str:
    """The public state that the job is in from then on; of a batch only the end is told."""
    return "batch.completed" if event.job_id is None else f"job.{event.state}"


def shown(event: EventRow) -> dict[str, object]:
    return {
        "id": event.job_id or event.batch_id,
        "batch": event.batch_id or "",
        "status": event.state,
        "phase": event.to_phase if event.job_id else "",
        "move": event.verb,
        "attempt": event.attempt,
        "because": event.because,
        "at": to_rfc3339(event.at),
    }


def _frame(
    *,
    event: str | None = None,
    data: str | None = None,
    id: str | None = None,  # noqa: A002  the field's name in the protocol
    comment: str | None = None,
    retry: int | None = None,
) -> ServerSentEvent:
    return ServerSentEvent(data, event=event, id=id, comment=comment, retry=retry, sep="\n")
