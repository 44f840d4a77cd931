"""`python -m bench.receiver`: a webhook of a user in a process of its own, noting when each message came."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from aiohttp import web


class Receiver:
    """Answers what it was told last; `GET /seen` gives the times (ms) of what was answered so."""

    def __init__(self) -> None:
        self._status = 200
        self._seen: dict[str, float] = {}

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        self._seen.setdefault(request.headers.get("webhook-id", str(len(self._seen))), time.time() * 1_000)
        return web.Response(status=self._status, text="ok")

    async def answer_with(self, request: web.Request) -> web.Response:
        """PUT /answer/STATUS: from now on, with nothing seen."""
        self._status, self._seen = int(request.match_info["status"]), {}
        return web.Response()

    async def seen(self, _request: web.Request) -> web.Response:
        return web.json_response(self._seen)


async def _serve() -> None:
    receiver, app = Receiver(), web.Application()
    app.router.add_put("/answer/{status}", receiver.answer_with)
    app.router.add_get("/seen", receiver.seen)
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def receiving() -> Iterator[str]:
    """Where it listens."""
    with subprocess.Popen([sys.executable, "-m", "bench.receiver"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    uvloop.run(_serve())
