"""Serves the sandbox with uvicorn: in this process until a signal, or beside a test's own code."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from types import FrameType

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orchestrator.sandbox.answers import TRANSPORT
from orchestrator.sandbox.app import create_app
from orchestrator.sandbox.house import open_house
from orchestrator.sandbox.options import Options

BACKLOG = 2048


class Protocol(HttpToolsProtocol):
    """Lets a route reach its connection, so that it can drop it."""

    def on_message_begin(self) -> None:
        """Put the transport into the request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class Server(uvicorn.Server):
    """Tells when it is ready, and ends at the first signal without waiting for open connections."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        self._when_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop now: nothing here is worth waiting for."""
        self.force_exit = True
        super().handle_exit(sig, frame)


def serve(*, host: str, port: int, options: Options) -> None:
    """Run a sandbox until SIGTERM or SIGINT; prints one line when it is ready. Port 0: a free one."""
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(listener, options, lambda: print(f"sandbox ready at {url}", flush=True)))


async def _serve(listener: socket.socket, options: Options, when_ready: Callable[[], None]) -> None:
    async with open_house(options) as house:
        config = uvicorn.Config(
            create_app(house),
            http=Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            backlog=BACKLOG,
            server_header=False,
        )
        await Server(config, when_ready).serve(sockets=[listener])


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[str]:
    """A sandbox in this event loop, on a free port of loopback; gives its URL."""
    listener = _listen("127.0.0.1", 0)
    async with open_house(options) as house:
        config = uvicorn.Config(
            create_app(house), http=Protocol, ws="none", lifespan="off", access_log=False, log_config=None
        )
        ready = asyncio.Event()
        server = Server(config, ready.set)
        server.force_exit = True
        serving = asyncio.create_task(server._serve([listener]))  # the public one takes over the signals
        await ready.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio would not set TCP_NODELAY: 40 ms for every answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener
