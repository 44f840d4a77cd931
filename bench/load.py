"""The load: the same httpx client over the same transport for us and for those we compare with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.stack import KEY
from orchestrator.clock import from_rfc3339
from orchestrator.net.clients import provider_client

AT_A_TIME = 64
_LOOK_EVERY_S = 0.5
MODEL = "/api/v3/wavespeed-ai/flux-dev"
BATCHES = "/api/v3/batches?model=wavespeed-ai/flux-dev"


@dataclass(frozen=True)
class Rates:
    """Jobs per second: accepted, and finished from first POST to last end."""

    accepted: float
    finished: float
    client_cpu_s: float
    answers: list[float]


async def run_through_us(url: str, count: int) -> Rates:
    """POST `count` jobs and wait until the last has ended."""
    async with provider_client(base_url=url, headers={"authorization": f"Bearer {KEY}"}) as client:
        started, cpu = time.perf_counter(), time.process_time()
        answers = await post_all(client, MODEL, count)
        accepted = time.perf_counter() - started
        while await _open_jobs(client):
            await asyncio.sleep(0.02)
        finished = time.perf_counter() - started
    return Rates(count / accepted, count / finished, time.process_time() - cpu, answers)


async def run_bare(provider: str, count: int) -> Rates:
    """The same jobs to the provider itself, callbacks received by a bare app that stores nothing."""
    received = asyncio.Event()
    left = count

    async def callback(request: Request) -> Response:
        nonlocal left
        await request.body()
        left -= 1
        if left == 0:
            received.set()
        return Response(b"ok")

    app = Starlette(routes=[Route("/callback", callback, methods=["POST"])])
    async with _serving(app) as receiver, provider_client(base_url=provider, headers=_BEARER) as client:
        started, cpu = time.perf_counter(), time.process_time()
        answers = await post_all(client, f"{MODEL}?webhook={receiver}/callback", count)
        accepted = time.perf_counter() - started
        await received.wait()
        finished = time.perf_counter() - started
    return Rates(count / accepted, count / finished, time.process_time() - cpu, answers)


async def post_all(client: httpx.AsyncClient, path: str, count: int) -> list[float]:
    """64 at a time; answers how long each POST took, in seconds."""
    numbers = iter(range(count))
    took: list[float] = []

    async def post() -> None:
        for number in numbers:
            started = time.perf_counter()
            body = msgspec.json.encode({"prompt": f"a lighthouse, number {number}", "seed": number})
            answer = await client.post(path, content=body)
            answer.raise_for_status()
            took.append(time.perf_counter() - started)

    await asyncio.gather(*(post() for _ in range(AT_A_TIME)))
    return took


def batch_body(count: int) -> bytes:
    """JSONL of `count` short prompts, each with a name of the client's."""
    lines = (
        {"custom_id": f"row-{number}", "input": {"prompt": f"a lighthouse, number {number}", "seed": number}}
        for number in range(count)
    )
    return msgspec.json.Encoder().encode_lines(lines)


async def send_batch(client: httpx.AsyncClient, body: bytes) -> str:
    """The id of a batch that is stored as a whole."""
    answer = await client.post(BATCHES, content=body, headers={"content-type": "application/jsonl"})
    answer.raise_for_status()
    return str(answer.json()["data"]["id"])


async def run_batch(url: str, count: int) -> float:
    """Jobs per second of one batch, from its upload to the time that is stored as its end; looked at as often
    as our command looks at first.
    """
    body = batch_body(count)
    async with provider_client(base_url=url, headers={"authorization": f"Bearer {KEY}"}) as client:
        started_ms = 1_000 * time.time()
        path = f"/api/v3/batches/{await send_batch(client, body)}"
        while not (finished_at := (await client.get(path)).json()["data"]["finished_at"]):
            await asyncio.sleep(_LOOK_EVERY_S)
        return 1_000 * count / (from_rfc3339(finished_at) - started_ms)


async def _open_jobs(client: httpx.AsyncClient) -> int:
    answer = await client.get("/api/v3/lanes")
    return sum(answer.json()["data"]["phases"].values())


_BEARER = {"authorization": "Bearer bench"}


@asynccontextmanager
async def _serving(app: Starlette) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app, port=0, access_log=False, log_config=None, lifespan="off", proxy_headers=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving
