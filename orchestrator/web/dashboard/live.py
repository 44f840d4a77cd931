"""GET /live: tells an open page, at most once a second, that what it shows may have changed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.errors import Busy, TooMany
from orchestrator.follower import Listener
from orchestrator.runtime import Runtime
from orchestrator.store import event_log
from orchestrator.web.context import Context
from orchestrator.web.dashboard.viewer import Viewer, find_viewer
from orchestrator.web.event_stream import SeatedStream

_LEAST_S = 1.0
# Ages and rates change by themselves, without an event.
_MOST_S = 5.0
_LOGGED_IN_FOR_S = 15.0


class _Ear(Listener[Any]):
    """Hears that there is something, however much it is."""

    def put(self, event: Any) -> None:
        self._waiting.clear()
        super().put(event)


async def live(request: Request) -> Response:
    """401 without a session; 429 when too many pages of this tenant are open."""
    viewer = await find_viewer(request)
    if viewer is None:
        return Response(status_code=401)
    runtime = Context.of(request).runtime
    try:
        seat = contextlib.ExitStack()
        seat.enter_context(runtime.follower.seat(viewer.tenant_id))
    except TooMany as full:
        return Response(str(full), status_code=full.status)
    return SeatedStream(
        _changes(request, runtime, viewer, seat),
        close=seat.close,
        ping=15,
        headers={"x-accel-buffering": "no", "cache-control": "no-store"},
    )


async def _changes(
    request: Request, runtime: Runtime, viewer: Viewer, seat: contextlib.ExitStack
) -> AsyncIterator[ServerSentEvent]:
    topic = event_log.topic("tenant", viewer.sees) if viewer.sees else event_log.EVERYTHING
    ear = _Ear()
    # A database in trouble ends the stream: the browser comes again by itself.
    with contextlib.suppress(Busy):
        yield ServerSentEvent(event="hello", data="", retry=1_000)
        await runtime.follower.listen(topic, ear)
        seat.callback(runtime.follower.leave, topic, ear)
        looked_at = time.monotonic()
        while not ear.is_closed:
            await ear.next(within_s=_MOST_S)
            if time.monotonic() - looked_at > _LOGGED_IN_FOR_S:
                if await find_viewer(request) is None:
                    return
                looked_at = time.monotonic()
            yield ServerSentEvent(event="change", data="")
            await asyncio.sleep(_LEAST_S)


LIVE = [Route("/live", live, methods=["GET"])]
