"""Each way in which a request can fail, against real sockets: the error must tell whether it was sent."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from orchestrator.net.clients import guarded_client, provider_client
from orchestrator.net.guard import AddressPolicy
from orchestrator.net.transport import AiohttpTransport
from orchestrator.providers.exchange import NOT_SENT
from tests.net.raw_server import (
    OK,
    Behaviour,
    Peer,
    answer_ok,
    closed_port,
    never_answer,
    serving,
)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
QUICK_TO_CONNECT = httpx.Timeout(30, connect=0.1)
QUICK = httpx.Timeout(30, read=0.1, write=0.1)


async def post(url: str, *, within: httpx.Timeout = QUICK) -> httpx.Response:
    async with provider_client(base_url=url, timeout=within) as client:
        return await client.post("/v3/submit", json={"prompt": "a cat"})


async def test_a_refused_connection_was_not_sent() -> None:
    with pytest.raises(httpx.ConnectError) as caught:
        await post(f"http://127.0.0.1:{closed_port()}")
    assert isinstance(caught.value, NOT_SENT)


async def test_a_name_that_does_not_resolve_was_not_sent() -> None:
    class NoSuchHost(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")

        async def close(self) -> None:
            """Nothing to close."""

    async with httpx.AsyncClient(transport=AiohttpTransport(resolver=NoSuchHost())) as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.post("http://api.example/")
    assert isinstance(caught.value, NOT_SENT)


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "unused"])
async def test_a_request_of_a_closed_client_was_not_sent(is_used: bool) -> None:
    async with serving(answer_ok) as server:
        client = provider_client(base_url=server.url)
        if is_used:
            await client.get("/")
        await client.aclose()
        with pytest.raises(httpx.ConnectError) as caught:
            await client.post("/")
    assert isinstance(caught.value, NOT_SENT)
    assert len(server.requests) == is_used


async def test_tls_to_a_plain_port_was_not_sent() -> None:
    async def speak_plainly(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(speak_plainly) as server:
        with pytest.raises(httpx.ConnectError) as caught:
            await post(f"https://127.0.0.1:{server.port}")
    assert isinstance(caught.value, NOT_SENT)


async def test_a_tls_handshake_that_never_ends_was_not_sent() -> None:
    async with serving(lambda peer: peer.hold()) as server:
        with pytest.raises(httpx.ConnectTimeout) as caught:
            await post(f"https://127.0.0.1:{server.port}", within=QUICK_TO_CONNECT)
    assert isinstance(caught.value, NOT_SENT)


async def test_a_look_up_that_never_ends_was_not_sent() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with guarded_client(
        AddressPolicy(), lookup=never, timeout=httpx.Timeout(5, connect=0.05)
    ) as client:
        with pytest.raises(httpx.ConnectTimeout) as caught:
            await client.post("https://slow.example/")
    assert isinstance(caught.value, NOT_SENT)


async def test_waiting_for_a_slot_too_long_was_not_sent() -> None:
    async with serving(never_answer) as server:
        patient = httpx.Timeout(30, pool=0.1)
        async with provider_client(base_url=server.url, limit=1, timeout=patient) as client:
            first = asyncio.create_task(client.post("/first"))
            await server.wait_for_requests(1)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await client.post("/second")
            first.cancel()
    assert isinstance(caught.value, NOT_SENT)
    assert len(server.requests) == 1


async def drop_unread(peer: Peer) -> None:
    peer.reset()


async def drop_after_the_request(peer: Peer) -> None:
    await peer.read_request()


async def reset_after_the_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def drop_in_the_head(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def drop_in_the_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly this")


async def drop_in_a_chunk(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly this")


async def stall_in_the_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly this")
    await peer.hold()


async def speak_another_protocol(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"220 mail.example ESMTP\r\n")


async def break_the_chunking(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n")


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (drop_unread, httpx.ReadError),
        (drop_after_the_request, httpx.ReadError),
        (reset_after_the_request, httpx.ReadError),
        (drop_in_the_head, httpx.ReadError),
        (drop_in_the_body, httpx.ReadError),
        (drop_in_a_chunk, httpx.ReadError),
        (never_answer, httpx.ReadTimeout),
        (stall_in_the_body, httpx.ReadTimeout),
        (speak_another_protocol, httpx.RemoteProtocolError),
        (break_the_chunking, (httpx.RemoteProtocolError, httpx.ReadError)),
    ],
)
async def test_whatever_fails_after_the_connection_was_made_is_in_doubt(
    behave: Behaviour, expected: type[httpx.TransportError]
) -> None:
    async with serving(behave) as server:
        with pytest.raises(expected) as caught:
            await post(server.url)
    assert not isinstance(caught.value, NOT_SENT)
    assert server.connections == 1


@pytest.mark.parametrize("method", METHODS)
async def test_no_request_is_sent_twice_when_the_connection_drops(method: str) -> None:
    async with serving(drop_after_the_request) as server, provider_client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadError):
            await client.request(method, "/v3/submit")
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_no_request_is_sent_twice_when_a_kept_connection_drops(method: str) -> None:
    async def answer_once(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(OK)
        await peer.read_request()

    async with serving(answer_once) as server, provider_client(base_url=server.url) as client:
        await client.get("/warm")
        with pytest.raises(httpx.ReadError) as caught:
            await client.request(method, "/v3/submit")
    assert not isinstance(caught.value, NOT_SENT)
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_kept_connection_that_the_server_has_closed_is_not_used_again() -> None:
    client_has_gone = asyncio.Event()

    async def answer_and_leave(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(OK)
        peer.writer.write_eof()
        await peer.hold()
        client_has_gone.set()

    async with serving(answer_and_leave) as server, provider_client(base_url=server.url) as client:
        await client.post("/first")
        await client_has_gone.wait()
        answer = await client.post("/second")
    assert answer.status_code == 200
    assert server.connections == 2


@pytest.mark.parametrize("headers", [{"x-name": "a\r\nX-Other: b"}, [(b"x-name", b"\xff")]])
async def test_a_header_that_cannot_be_written_was_not_sent(headers: Any) -> None:
    async with serving(answer_ok) as server, provider_client(base_url=server.url, limit=1) as client:
        with pytest.raises(httpx.LocalProtocolError) as caught:
            await client.post("/", headers=headers)
        assert (await client.post("/")).status_code == 200
    assert isinstance(caught.value, NOT_SENT)
    assert len(server.requests) == 1
