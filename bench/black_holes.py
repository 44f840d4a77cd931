"""How soon a good webhook is told beside many that never answer, against how soon without them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import msgspec

from bench import load, stack
from bench.figures import Figure, quantile
from bench.receiver import receiving
from bench.telling import delays
from orchestrator.net.clients import provider_client

HOLES, JOBS_EACH = 200, 4
PER_SECOND, EVENTS = 20, 240
KNOWN_BY = 20
ROUNDS = 3


async def beside_black_holes() -> Figure:
    """In turn, each on a new server: as many jobs at the same rate, and a batch whose jobs have black holes
    for webhooks or none.
    """
    beside, alone = list[float](), list[float]()
    async with _black_holes() as port:
        for _ in range(ROUNDS):
            alone += await _delays(port, has_holes=False)
            beside += await _delays(port, has_holes=True)
    slow, usual = quantile(beside, 0.95), quantile(alone, 0.95)
    return Figure(
        f"job ended → webhook beside {HOLES} black holes, p95",
        slow / usual,
        " times",
        at_most=1.5,
        note=f"{slow:.0f} ms against {usual:.0f} ms without, {PER_SECOND} a second",
    )


async def _delays(port: int, *, has_holes: bool) -> list[float]:
    with receiving() as receiver, stack.sandbox() as provider:
        allowed = {
            "ORCHESTRATOR_ALLOW_NETWORKS": "127.0.0.0/8",
            "ORCHESTRATOR_ALLOW_HTTP": "true",
            "ORCHESTRATOR_ALLOW_PORTS": f"{urlsplit(receiver).port},{port}",
        }
        headers = {"authorization": f"Bearer {stack.KEY}"}
        with stack.up(provider.url, **allowed) as server:
            async with provider_client(base_url=server.url, headers=headers) as client:
                await delays(client, receiver, count=KNOWN_BY, per_second=PER_SECOND)
                filling = asyncio.create_task(_fill(client, port if has_holes else None))
                took = await delays(client, receiver, count=EVENTS, per_second=PER_SECOND)
                await filling
                return took


async def _fill(client: httpx.AsyncClient, port: int | None) -> None:
    lines = [
        {"input": {"prompt": "a lake"}} | ({"webhook": f"http://127.0.1.{hole}:{port}/"} if port else {})
        for hole in range(1, HOLES + 1)
        for _ in range(JOBS_EACH)
    ]
    await load.send_batch(client, msgspec.json.Encoder().encode_lines(lines))


@asynccontextmanager
async def _black_holes() -> AsyncIterator[int]:
    """A port that on all of loopback accepts, and never answers."""
    held: list[asyncio.StreamWriter] = []

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(take, "0.0.0.0", 0, backlog=1_000)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in held:
            writer.close()
