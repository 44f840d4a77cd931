"""A client of the event streams: reads what a stream says, and can be cut off and go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.stack import Stack


@dataclass(frozen=True)
class Heard:
    """One frame; a comment alone has no event."""

    id: str
    event: str
    data: dict[str, Any]
    comment: str


class Listening:
    """An open stream; `last_id` is what a browser would send as Last-Event-ID."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_id = ""
        self._frames = self._read()

    async def next(self) -> Heard:
        """The next event; comments are passed over."""
        while True:
            frame = await anext(self._frames)
            if frame.event:
                return frame

    async def until(self, *names: str) -> list[Heard]:
        """All events up to the first of these names."""
        heard = [await self.next()]
        while heard[-1].event not in names:
            heard.append(await self.next())
        return heard

    async def rest(self) -> list[Heard]:
        """All events until the server ends the stream."""
        return [frame async for frame in self._frames if frame.event]

    async def _read(self) -> AsyncIterator[Heard]:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name or "comment"] = value.removeprefix(" ")
                continue
            self.last_id = fields.get("id", self.last_id)
            data = json.loads(fields.get("data", "{}"))
            yield Heard(fields.get("id", ""), fields.get("event", ""), data, fields.get("comment", ""))
            fields = {}


@asynccontextmanager
async def listening(
    stack: Stack,
    path: str = "/api/v3/events",
    *,
    last_id: str = "",
    headers: Mapping[str, str] | None = None,
    **params: str,
) -> AsyncIterator[Listening]:
    """A stream whose first frame has come: whatever happens from now on is told by it."""
    given = dict(headers or {}) | ({"last-event-id": last_id} if last_id else {})
    async with stack.http.stream("GET", path, params=params, headers=given) as response:
        if response.status_code != 200:
            await response.aread()
        assert response.status_code == 200, response.text
        stream = Listening(response)
        first = await anext(stream._frames)
        assert first.comment
        yield stream
