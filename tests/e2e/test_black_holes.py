"""Webhooks that accept and never answer keep nobody else's waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.accepting import stop_accepting
from tests.e2e.program import free_port, until
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.stack import Stack, data_of, up_stack

HOLES, JOBS_EACH = 200, 4
MOST_DELAY_MS = 1_500


class BlackHole:
    """Accepts on all of loopback, and never answers; `called` are the addresses that were dialled."""

    def __init__(self) -> None:
        self.called: set[str] = set()
        self._held: list[asyncio.StreamWriter] = []

    async def take(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called.add(writer.get_extra_info("sockname")[0])
        self._held.append(writer)

    def close(self) -> None:
        for writer in self._held:
            writer.close()


@asynccontextmanager
async def beside_black_holes() -> AsyncIterator[tuple[Stack, Receiver, BlackHole, int]]:
    """A stack, one good receiver, and black holes at one port of 127.0.1.*."""
    port, hole_port = free_port(), free_port()
    allowed: dict[str, Any] = {
        "ORCHESTRATOR_ALLOW_NETWORKS": "127.0.0.0/8",
        "ORCHESTRATOR_ALLOW_HTTP": "true",
        "ORCHESTRATOR_ALLOW_PORTS": f"{port},{hole_port}",
    }
    hole = BlackHole()
    server = await asyncio.start_server(hole.take, "0.0.0.0", hole_port, backlog=1_000)
    try:
        async with receiving(port) as receiver, up_stack(**allowed) as stack:
            yield stack, receiver, hole, hole_port
    finally:
        await stop_accepting(server.sockets)
        hole.close()
        server.close()


async def fill_black_holes(stack: Stack, port: int) -> None:
    """A batch whose jobs each have a black hole for a webhook, four in a row the same."""
    lines = [
        {"input": {"prompt": "a lake"}, "webhook": f"http://127.0.1.{hole}:{port}/"}
        for hole in range(1, HOLES + 1)
        for _ in range(JOBS_EACH)
    ]
    body = b"\n".join(msgspec.json.encode(line) for line in lines)
    params = {"model": "wavespeed-ai/flux-dev"}
    data_of(await stack.http.post("/api/v3/batches", params=params, content=body))


async def test_two_hundred_black_holes_delay_no_delivery_to_others() -> None:
    async with beside_black_holes() as (stack, receiver, hole, hole_port):
        good = f"{receiver.url}/200/good"
        await stack.created(params={"webhook": good})
        await receiver.wait_for("/200/good")
        await fill_black_holes(stack, hole_port)

        async def all_holes_have_timed_out() -> bool:
            await stack.created(params={"webhook": good})
            failed = await stack.ledger.one("SELECT count(*) FROM delivery_attempts WHERE status IS NULL")
            return int(failed) > HOLES

        async def good_ones_are_told() -> bool:
            left = "SELECT count(*) FROM deliveries WHERE url = :url AND state = 'pending'"
            return not await stack.ledger.one(left, url=good)

        await until(all_holes_have_timed_out, within=90)
        await until(good_ones_are_told)
        assert len(hole.called) == HOLES
        delays = await stack.ledger.rows(
            "SELECT a.at - d.created_at AS ms FROM deliveries d"
            " JOIN delivery_attempts a ON a.delivery_id = d.id WHERE a.status = 200"
        )
        assert max(row["ms"] for row in delays) < MOST_DELAY_MS
