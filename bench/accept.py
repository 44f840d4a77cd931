"""Accepting jobs, 64 clients at once, against the same server that inserts one row per request."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from sqlalchemy import Connection, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench import load, stack
from bench.figures import Figure, median
from orchestrator.net.clients import provider_client
from orchestrator.store.database import open_database
from orchestrator.store.group import Grouper

REQUESTS = 4_000
ROUNDS = 3


async def accept() -> list[Figure]:
    ratios, ours = [], []
    with (
        stack.sandbox() as provider,
        tempfile.TemporaryDirectory() as folder,
        one_row_server(Path(folder)) as bare,
        # With a key that the provider refuses nothing is sent: the server does nothing but accept.
        stack.up(provider.url, WAVESPEED_API_KEY="wrong") as server,
    ):
        for _ in range(ROUNDS):
            floor = await _rate(bare)
            rate = await _rate(server.url)
            ours.append(rate)
            ratios.append(rate / floor)
    return [
        Figure(
            "accepted, against one row per request",
            median(ratios),
            at_least=1 / 3,
            note=f"{median(ours):.0f}/s; same groups, same server",
        ),
    ]


async def _rate(url: str) -> float:
    async with provider_client(base_url=url, headers={"authorization": f"Bearer {stack.KEY}"}) as client:
        await load.post_all(client, load.MODEL, 200)
        started = asyncio.get_running_loop().time()
        await load.post_all(client, load.MODEL, REQUESTS)
        return REQUESTS / (asyncio.get_running_loop().time() - started)


@contextmanager
def one_row_server(folder: Path) -> Iterator[str]:
    """The floor: where the server listens."""
    command = [sys.executable, "-m", "bench.accept", str(folder / "rows.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()


async def _serve_one_row(path: str) -> None:
    database = open_database(f"sqlite:///{path}")
    await database.write(lambda c: c.execute(text("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")))

    def apply(connection: Connection, /, *, items: Sequence[bytes], is_retry: bool) -> Sequence[Any]:
        connection.execute(text("INSERT INTO rows (body) VALUES (:body)"), [{"body": item} for item in items])
        return [None] * len(items)

    group: Grouper[bytes] = Grouper(database, apply)

    async def insert(request: Request) -> Response:
        await group.put(await request.body())
        return Response(b'{"code":200}', media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", insert, methods=["POST"])])
    config = uvicorn.Config(
        app, port=0, access_log=False, log_config=None, lifespan="off", proxy_headers=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(_serve_one_row(sys.argv[1]))
