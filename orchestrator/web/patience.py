"""Notices that a client goes away while its job is being stored, where that takes long."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import Request

# Storing takes some milliseconds: up to here nobody looks, which costs next to nothing.
_LOOK_AFTER_S = 0.5


class Caller:
    """Whoever sent the request, for as long as it is being stored."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._watch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_gone = False

    def __enter__(self) -> Caller:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_AFTER_S, self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def is_there(self) -> bool:
        return not self.is_gone

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._notice())

    async def _notice(self) -> None:
        await until_gone(self._request)
        self.is_gone = True


async def until_gone(request: Request) -> None:
    """Until the client of a request whose body was read goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
