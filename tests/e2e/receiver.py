"""A user's webhook endpoint on loopback: keeps what it gets, and answers as the path says."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tests.accepting import stop_accepting
from tests.e2e.program import until


@dataclass(frozen=True)
class Received:
    """One request; header names in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def prediction(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])

    def is_signed_with(self, secret: str) -> bool:
        """WaveSpeed's v3 signature, written down again from its documentation."""
        signed = f"{self.message_id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        key = secret.removeprefix("whsec_").encode("ascii")
        expected = "v3," + hmac.new(key, signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.headers["webhook-signature"])


@dataclass
class Receiver:
    """`/200`, `/500,200` (the first answer, then the second for ever), `/302`, … Where `trusts` has a secret
    for the path, only WaveSpeed's signature with it is heard; anything else is 401. `seconds` has how long
    a path takes to answer.
    """

    url: str = ""
    got: dict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))
    headers: dict[str, str] = field(default_factory=dict)
    trusts: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    text: str = "thank you"
    connections: set[asyncio.Transport] = field(default_factory=set)

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        earlier = self.got[request.path]
        answers = [int(word) for word in request.path.split("/")[1].split(",")]
        status = answers[min(len(earlier), len(answers) - 1)]
        earlier.append(Received(headers, await request.read()))
        if request.transport is not None:
            self.connections.add(request.transport)
        await asyncio.sleep(self.seconds.get(request.path, 0.0))
        if request.path in self.trusts and not earlier[-1].is_signed_with(self.trusts[request.path]):
            return web.Response(status=401)
        told = {"location": f"{self.url}/200/redirected"} if status // 100 == 3 else self.headers
        return web.Response(status=status, headers=told, text=self.text)

    async def wait_for(self, path: str, count: int = 1) -> list[Received]:
        async def has_come() -> bool:
            return len(self.got[path]) >= count

        await until(has_come, what=f"{count} at {path}, there are {len(self.got[path])}")
        return self.got[path]


@asynccontextmanager
async def receiving(port: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.take)
    # A call that was given up ends. Its connection is not read while it is answered, and so not closed.
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", port))
    await web.SockSite(runner, listener).start()
    try:
        yield receiver
    finally:
        await stop_accepting([listener])
        for connection in receiver.connections:
            connection.abort()
        await runner.cleanup()
