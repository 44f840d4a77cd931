"""The HTTP server: uvicorn under our own signal handling, on a socket that is bound before all else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from orchestrator.errors import Misconfigured
from orchestrator.listening import PatientProtocol
from orchestrator.runtime import Runtime
from orchestrator.web.app import create_app


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at this address; 0 is any free port. Raises Misconfigured."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise Misconfigured(f"Cannot listen on {host} port {port}: {error.strerror}.") from None
        yield listener


def url_of(listener: socket.socket, host: str) -> str:
    """Where the socket is reached from this machine."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    shown = f"[{near}]" if ":" in near else near
    return f"http://{shown}:{listener.getsockname()[1]}"


class Server:
    """uvicorn on a socket that is bound already, under our own signal handling."""

    def __init__(
        self, runtime: Runtime, listener: socket.socket, on_ready: Callable[[], None] | None
    ) -> None:
        self._runtime = runtime
        self._listener = listener
        app = create_app(runtime)
        config = uvicorn.Config(
            app,
            loop="none",
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            backlog=2_048,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=7,
        )
        self._uvicorn = _Uvicorn(config, on_ready)

    async def serve(self) -> None:
        await self._uvicorn.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Let held requests answer, break off uploads, take no new ones."""
        self._runtime.uploads.stop()
        self._runtime.waits.stop()
        self._runtime.follower.stop()
        self._uvicorn.should_exit = True


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, PatientProtocol):
                    connection.sweep(now)
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would end the process before we have closed what is open."""
        yield
