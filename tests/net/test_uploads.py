"""Request bodies that are streamed: whole, in flat memory, and never longer than announced."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orchestrator.net.clients import provider_client
from tests.net.raw_server import OK, Peer, answer_ok, never_answer, serving

QUICK = httpx.Timeout(30, write=0.1)


async def test_a_streamed_upload_arrives_whole_in_flat_memory() -> None:
    piece, pieces = bytes(range(256)) * 256, 320  # 20 MB
    received = hashlib.sha256()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield piece

    async def swallow(peer: Peer) -> None:
        await peer.read_head()
        while size := int(await peer.reader.readline(), 16):
            received.update(await peer.reader.readexactly(size))
            await peer.reader.readline()
        await peer.send(OK)

    async with serving(swallow) as server, provider_client(base_url=server.url) as client:
        tracemalloc.start()
        response = await client.post("/upload", content=chunks())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert response.status_code == 200
    assert received.digest() == hashlib.sha256(piece * pieces).digest()
    assert peak < 4_000_000


async def test_a_multipart_upload_keeps_its_announced_length() -> None:
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        await client.post("/files", files={"file": ("cat.png", b"\x89PNG" * 50_000, "image/png")})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.count(b"\x89PNG") == 50_000


async def test_an_answer_before_the_upload_has_ended_is_returned() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"the first part"
        await asyncio.Event().wait()

    async def refuse_early(peer: Peer) -> None:
        head = await peer.read_head()
        if b"POST" in head:
            await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            await peer.hold()
        await peer.send(OK)

    async with serving(refuse_early) as server, provider_client(base_url=server.url, limit=1) as client:
        refused = await client.post("/upload", content=chunks())
        fine = await client.get("/")
    assert (refused.status_code, fine.status_code) == (413, 200)
    assert server.connections == 2


async def test_an_upload_that_nobody_reads_is_stopped_and_in_doubt() -> None:
    produced = 0

    async def endless() -> Any:
        nonlocal produced
        while True:
            produced += 65_536
            yield bytes(65_536)

    async def read_nothing(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport as well
        await asyncio.Event().wait()

    timeout = httpx.Timeout(30, write=0.1)
    async with (
        serving(read_nothing) as server,
        provider_client(base_url=server.url, timeout=timeout) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/upload", content=endless())
    assert produced < 50_000_000, "the sender's memory would grow with the body"


async def test_an_upload_whose_source_fails_is_in_doubt() -> None:
    async def broken() -> Any:
        yield b"the first part"
        raise OSError(5, "the disk has gone")

    async with serving(never_answer) as server, provider_client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/upload", content=broken(), headers={"content-length": "99"})
    assert server.requests == []


@pytest.mark.parametrize("length", [3, 99])
async def test_a_body_that_is_not_as_long_as_announced_spoils_no_later_request(length: int) -> None:
    async def eight_bytes() -> Any:
        yield b"GET / HT"

    headers = {"content-length": str(length)}
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/upload", content=eight_bytes(), headers=headers)
        await client.post("/next")
    assert [request.split(b" HTTP/")[0] for request in server.requests] == [b"POST /next"]
