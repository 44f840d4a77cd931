"""How soon a good webhook is told beside many that never answer, against how soon without them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from bench import stack
from bench.figures import Figure, quantile
from bench.receiver import receiving
from bench.telling import delays, submit_at_rate
from orchestrator.net.clients import provider_client

HOLES = 200
PER_SECOND, EVENTS = 20, 300
AT_ONCE_PER_SECOND, MORE_PER_SECOND = 500, 30
KNOWN_BY = 20
ROUNDS = 3


async def beside_black_holes() -> Figure:
    """In turn, each on a new server: as many jobs at the same rate, beside others that have black holes for
    webhooks or none.
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
                _, took = await asyncio.gather(
                    _tell_others(client, port if has_holes else None),
                    delays(client, receiver, count=EVENTS, per_second=PER_SECOND),
                )
                return took


async def _tell_others(client: httpx.AsyncClient, port: int | None) -> None:
    """One job for each all at once, which is when nothing is known of them, and then more and more."""
    others = [f"http://127.0.1.{number}:{port}/" if port else "" for number in range(1, HOLES + 1)]
    await submit_at_rate(client, others, per_second=AT_ONCE_PER_SECOND)
    await submit_at_rate(client, others * 2, per_second=MORE_PER_SECOND)


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
