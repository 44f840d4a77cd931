"""How long an exchange may take as a whole, and how much of an answer is read."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from orchestrator.net.clients import deadline, provider_client, read_capped
from tests.net.raw_server import Peer, answer_ok, never_answer, serving


async def drip(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await peer.send(b"x")
        await asyncio.sleep(0.01)


async def test_a_deadline_ends_an_answer_that_drips() -> None:
    async with (
        serving(drip) as server,
        provider_client(base_url=server.url, limit=1, timeout=httpx.Timeout(5)) as client,
    ):
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                async with deadline(0.2), client.stream("POST", "/") as response:
                    await read_capped(response, 16_000)
    assert server.connections == 2


async def test_a_deadline_ends_a_silence() -> None:
    async with serving(never_answer) as server, provider_client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            async with deadline(0.1):
                await client.post("/")


async def test_a_deadline_leaves_other_timeouts_alone() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(5):
            raise TimeoutError


async def endless(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
    while True:
        await peer.send(b"x" * 1000)


async def test_a_capped_read_stops_at_its_limit_and_drops_the_rest() -> None:
    async with serving(endless) as server, provider_client(base_url=server.url, limit=1) as client:
        for _ in range(2):
            async with client.stream("GET", "/") as response:
                body = await read_capped(response, 16_384)
            assert body == b"x" * 16_384
    assert server.connections == 2


async def test_a_capped_read_of_a_short_answer_has_all_of_it() -> None:
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        for _ in range(2):
            async with client.stream("GET", "/") as response:
                assert await read_capped(response, 16_384) == b"ok"
    assert server.connections == 1
