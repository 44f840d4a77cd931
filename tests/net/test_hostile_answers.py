"""What a hostile webhook can answer: nobody waits for it beyond the deadline, nor keeps more than a little.

Each is asked as deliveries ask: guarded, streamed, capped, under one deadline.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from orchestrator.net.clients import deadline, guarded_client, read_capped
from orchestrator.net.guard import BlockedUrl
from tests.net.raw_server import Behaviour, Peer, RawServer, never_answer, serving
from tests.net.test_clients import World, loopback

DEADLINE_S = 1.0
LEAST_PATIENCE_S = 2.0
MOST_BYTES = 5 * 2**20
CAP = 16_384
BOMB = gzip.compress(bytes(200 * 2**20), compresslevel=1)


def sending(*pieces: bytes, again: bytes = b"", every_s: float = 0.0) -> Behaviour:
    """These, and then the last one for ever."""

    async def behave(peer: Peer) -> None:
        await peer.read_request()
        for piece in pieces:
            await peer.send(piece)
        while again:
            await peer.send(again)
            await asyncio.sleep(every_s)

    return behave


async def reset_in_the_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
    peer.reset()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HOSTILE = {
    "silence": never_answer,
    "a head that drips": sending(OK, again=b"x", every_s=0.02),
    "headers that drip": sending(OK, again=b"x: y\r\n", every_s=0.02),
    "a body that drips": sending(OK + b"\r\n", again=b"x", every_s=0.02),
    "chunks that drip": sending(CHUNKED, again=b"1\r\nx\r\n", every_s=0.02),
    "endless headers": sending(OK, again=b"name: %s\r\n" % (b"v" * 1_000)),
    "an endless header": sending(OK + b"name: ", again=b"v" * 4_096),
    "an endless status line": sending(b"HTTP/1.1 200 ", again=b"O" * 4_096),
    "endless hints": sending(again=b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
    "an endless body": sending(OK + b"\r\n", again=b"x" * 65_536),
    "an endless chunk": sending(CHUNKED + b"ffffffffff\r\n", again=b"x" * 65_536),
    "an endless chunk extension": sending(CHUNKED + b"1;", again=b"x" * 4_096),
    "endless trailers": sending(CHUNKED + b"0\r\n", again=b"name: %s\r\n" % (b"v" * 1_000)),
    "a bomb": sending(OK + b"Content-Encoding: gzip\r\n\r\n", BOMB),
    "a promise of a terabyte": sending(OK + b"Content-Length: 1099511627776\r\n\r\n", again=b"x" * 65_536),
    "a negative length": sending(OK + b"Content-Length: -1\r\n\r\nx"),
    "two lengths": sending(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "another protocol": sending(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "a reset": reset_in_the_body,
    "nothing": sending(),
}


@asynccontextmanager
async def asked(behave: Behaviour) -> AsyncIterator[tuple[RawServer, World, httpx.AsyncClient]]:
    world = World(["127.0.0.1"])
    async with serving(behave) as server:
        policy = loopback(server.port)
        async with guarded_client(policy, lookup=world.lookup, on_dial=world.on_dial) as client:
            yield server, world, client


async def told_by(client: httpx.AsyncClient, url: str) -> bytes | httpx.HTTPError:
    """The answer's first bytes, or why there are none."""
    try:
        async with deadline(DEADLINE_S), client.stream("POST", url, content=b"{}") as response:
            return await read_capped(response, CAP)
    except httpx.HTTPError as error:
        return error


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("behave", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_answer_costs_little_time_and_little_memory(behave: Behaviour, traced: None) -> None:
    async with asked(behave) as (server, world, client):
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        began = time.monotonic()
        told = await told_by(client, f"http://hook.example:{server.port}/")
        took_s = time.monotonic() - began
        _, most = tracemalloc.get_traced_memory()
    assert took_s < DEADLINE_S + LEAST_PATIENCE_S
    assert most - before < MOST_BYTES
    assert isinstance(told, httpx.HTTPError) or len(told) <= CAP
    assert (world.dialled, server.connections) == (["127.0.0.1"], 1)


@pytest.mark.parametrize("behave", [HOSTILE["a bomb"], HOSTILE["a reset"]], ids=["a bomb", "a reset"])
async def test_the_next_webhook_is_told_as_ever_after_a_hostile_one(behave: Behaviour) -> None:
    async with asked(behave) as (server, _, client):
        for _ in range(3):
            await told_by(client, f"http://hook.example:{server.port}/")
        assert server.connections == 3


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(-2, "no such host"),
        socket.gaierror(-3, "try again"),
        UnicodeError("too long"),
        OSError(5),
    ],
    ids=repr,
)
async def test_a_name_server_in_trouble_makes_no_dial(error: Exception) -> None:
    world = World(["127.0.0.1"])

    async def lookup(_host: str, _port: int) -> list[str]:
        raise error

    async with guarded_client(loopback(80), lookup=lookup, on_dial=world.on_dial) as client:
        with pytest.raises(BlockedUrl):
            await client.post("http://hook.example/")
    assert world.dialled == []


async def test_a_name_server_that_never_answers_is_waited_for_no_longer_than_the_deadline() -> None:
    world = World(["127.0.0.1"])

    async def lookup(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return ["127.0.0.1"]

    async with guarded_client(loopback(80), lookup=lookup, on_dial=world.on_dial) as client:
        began = time.monotonic()
        assert isinstance(await told_by(client, "http://hook.example/"), httpx.HTTPError)
    assert time.monotonic() - began < DEADLINE_S + LEAST_PATIENCE_S
    assert world.dialled == []
