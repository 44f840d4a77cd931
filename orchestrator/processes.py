"""The processes one can start: `up` (all in one), `serve`, `worker` and `migrate`.

Each opens everything, runs until SIGINT or SIGTERM, and ends within ten seconds with nothing lost.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import structlog
import uvloop

from orchestrator import embedded, logs
from orchestrator.broker import Broker
from orchestrator.errors import Misconfigured
from orchestrator.flow import administer, learn, reckon, sweep
from orchestrator.ids import key_digest
from orchestrator.runtime import Runtime, keep_current, open_runtime
from orchestrator.serving import Server, bound, url_of
from orchestrator.settings import Settings
from orchestrator.stopping import end_in_time
from orchestrator.store import keys, schema
from orchestrator.store.database import open_database
from orchestrator.worker import Worker


class ServerInfo(msgspec.Struct, frozen=True):
    """How to reach a running server; `up` keeps it in `server.json` of its data directory.

    `login_url` logs in to the dashboard once. It is told to whoever has started the server, and kept nowhere.
    """

    url: str
    api_key: str
    pid: int
    is_new_key: bool = False
    login_url: str = ""


OnReady = Callable[[ServerInfo], None]


def run_up(settings: Settings, *, host: str, port: int, on_ready: OnReady | None = None) -> None:
    """API and worker in one process on SQLite and a private Valkey (or what the settings name)."""
    logs.configure()
    data_dir = settings.data_dir.absolute()
    os.umask(0o077)  # the database holds what people asked for, and the folder may be open to others
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with embedded.locked(data_dir), bound(host, port) as listener:
        url = url_of(listener, host)
        settings, is_new_key = embedded.complete(settings, data_dir, url)
        broker = None if settings.redis_url else Broker(data_dir)
        if broker is not None:
            broker.start()
            settings = settings.model_copy(update={"redis_url": broker.url})
        try:
            _run(_migrate(settings, on_wait=lambda: structlog.get_logger().warning("migrate.waits")))
            info = ServerInfo(url, settings.api_key, os.getpid(), is_new_key)
            _run(_up(settings, listener, info, data_dir, on_ready))
        finally:
            if broker is not None:
                broker.stop()


def run_serve(settings: Settings, *, host: str, port: int, on_ready: OnReady | None = None) -> None:
    """The API alone; workers run in processes of their own on the same PostgreSQL and Redis."""
    logs.configure()
    _require_servers(settings)
    with bound(host, port) as listener:
        info = ServerInfo(url_of(listener, host), settings.api_key, os.getpid())
        _run(_serve(settings, listener, info, on_ready))


def run_worker(settings: Settings) -> None:
    """A worker alone; start as many as there are cores to spare."""
    logs.configure()
    _require_servers(settings)
    _run(_work(settings))


def _require_servers(settings: Settings) -> None:
    if settings.is_sqlite:
        raise Misconfigured(
            "DATABASE_URL: several processes need PostgreSQL; on SQLite, run `orchestrator up`."
        )
    if not settings.redis_url:
        raise Misconfigured("REDIS_URL: must be set, so that the API can ring the workers.")


def run_migrate(settings: Settings, *, on_wait: Callable[[], None]) -> None:
    """Bring the database to the newest version; `on_wait` is called when another is at it."""
    _run(_migrate(settings, on_wait=on_wait))


async def _up(
    settings: Settings, listener: socket.socket, info: ServerInfo, data_dir: Path, on_ready: OnReady | None
) -> None:
    async with AsyncExitStack() as stack:
        runtime = await open_runtime(settings, stack, url=info.url)
        await runtime.store.write(keys.ensure_first_key, key=settings.api_key, now=runtime.clock.now())
        if settings.is_sqlite:  # on PostgreSQL other processes may live on, with leases of their own
            await sweep.end_leases(runtime)
        worker = Worker(runtime, is_beside_api=True)
        worker.start()
        learn.start(runtime, stack)
        _report(runtime, stack, "up", worker)
        login_url = await _login_url(runtime, info)

        def ready() -> None:
            embedded.write_private(data_dir / "server.json", msgspec.json.encode(info))
            if on_ready is not None:
                on_ready(msgspec.structs.replace(info, login_url=login_url))

        stack.callback((data_dir / "server.json").unlink, missing_ok=True)
        await _until_signal(Server(runtime, listener, ready), worker)


async def _login_url(runtime: Runtime, info: ServerInfo) -> str:
    """The page to log in by hand where the first key was revoked.

    Behind HTTPS nobody logs in past the proxy, not even from this machine.
    """
    url = runtime.base_url if runtime.base_url.startswith("https://") else info.url
    key = await runtime.store.read(keys.find_key, digest=key_digest(info.api_key))
    if key is None or not key.is_valid(runtime.clock.now()):
        return f"{url}/login"
    token, _ = await administer.make_login_link(runtime, key, is_logged=False)
    return f"{url}/login/{token}"


async def _serve(
    settings: Settings, listener: socket.socket, info: ServerInfo, on_ready: OnReady | None
) -> None:
    async with AsyncExitStack() as stack:
        runtime = await open_runtime(settings, stack, url=info.url)
        if settings.api_key:
            await runtime.store.write(keys.ensure_first_key, key=settings.api_key, now=runtime.clock.now())
        keep_current(runtime, stack)
        learn.start(runtime, stack)
        _report(runtime, stack, "serve", None)
        ready = (lambda: on_ready(info)) if on_ready else None
        await _until_signal(Server(runtime, listener, ready), None)


async def _work(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        runtime = await open_runtime(settings, stack)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # The age of this file says whether the worker is alive; docker-compose.yml looks at it.
        tick = settings.data_dir / f"worker-{socket.gethostname()}.tick"
        tick.touch()  # told now if it may not be written
        await reckon.find_api(runtime)
        worker = Worker(runtime, on_tick=tick.touch)
        worker.start()
        # A job in doubt is recognised by its input in the same form in which the API wrote it down.
        learn.start(runtime, stack)
        _report(runtime, stack, "worker", worker)
        runtime.log.info("worker.started", worker=worker.name)
        await _until_signal(None, worker)


def _report(runtime: Runtime, stack: AsyncExitStack, kind: str, worker: Worker | None) -> None:
    """Let the dashboard know of this process until `stack` closes."""
    name = f"{kind} on {socket.gethostname()}, pid {os.getpid()}"
    drains = worker.drained if worker else dict
    reporting = asyncio.create_task(
        reckon.keep_reporting(runtime, name=name, kind=kind, drains=drains), name="report"
    )

    async def end() -> None:
        reporting.cancel()
        await asyncio.wait([reporting], timeout=1.0)

    stack.push_async_callback(end)


async def _until_signal(server: Server | None, worker: Worker | None) -> None:
    """Run until SIGINT or SIGTERM (or the server fails), then end both side by side."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not walk it again and again
    gc.set_threshold(20_000, 20, 20)
    serving = asyncio.create_task(server.serve()) if server else None
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({waiting, *([serving] if serving else [])}, return_when=asyncio.FIRST_COMPLETED)
    end_in_time()
    waiting.cancel()
    ending = [worker.stop()] if worker else []
    if server is not None and serving is not None:
        server.stop()
        ending.append(_finished(serving))
    ended = await asyncio.gather(*ending, return_exceptions=True)  # what is open is closed behind all of them
    for failure in ended:
        if isinstance(failure, BaseException):
            raise failure


async def _finished(serving: asyncio.Task[None]) -> None:
    await serving


async def _migrate(settings: Settings, *, on_wait: Callable[[], None]) -> None:
    database = open_database(settings.resolved_database_url, pool_size=1)
    try:
        await schema.bring_up_to_date(database, on_wait=on_wait)
    finally:
        await database.close()


def _run(coroutine: object) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)  # type: ignore[arg-type]  # always one of the coroutines above
