"""GET /live: tells an open page, at most once a second, that what it shows may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.web.dashboard.viewer import find_viewer

_EVERY_S = 1.0
# Ages and rates change by themselves, without an event.
_AGES_EVERY = 5


async def live(request: Request) -> Response:
    if await find_viewer(request) is None:
        return Response(status_code=401)
    return EventSourceResponse(_changes(), ping=15, headers={"x-accel-buffering": "no"})


async def _changes() -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(event="hello", data="", retry=1_000)
    while True:
        await asyncio.sleep(_EVERY_S * _AGES_EVERY)
        yield ServerSentEvent(event="change", data="")


LIVE = [Route("/live", live, methods=["GET"])]
