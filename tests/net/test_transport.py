"""What goes over the wire and what is kept: bytes, bodies, slots and connections."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest

from orchestrator.net import transport
from orchestrator.net.clients import provider_client
from tests.net.raw_server import OK, Behaviour, Peer, answer_ok, answering, never_answer, serving


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb?x=%41+b",
        "/a%2fb/%7Euser/~user;v=1",
        "/path//double/?",
        "/?next=https://h.example/?a=b&c=d%26",
        "/!$&'()*+,;=:@",
        "/caf%C3%A9?q=%E2%9C%93&empty=&flag",
    ],
)
async def test_the_bytes_of_a_url_are_sent_as_they_are(target: str) -> None:
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        await client.get(server.url + target)
    assert server.requests[0].split(b" ")[1] == target.encode()


async def test_the_request_is_sent_byte_for_byte_as_httpx_has_it() -> None:
    headers = httpx.Headers(
        [(b"X-Sign", b"a=b; c"), (b"x-tWICE", b"1"), (b"x-tWICE", b"2"), (b"X-Utf", "é".encode())]
    )
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        request = client.build_request("POST", "/v3", headers=headers, content=b'{"a":1}')
        await client.send(request)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers.raw)
    assert server.requests == [b"POST /v3 HTTP/1.1\r\n" + head + b'\r\n{"a":1}']


async def test_an_answer_keeps_its_status_reason_and_headers() -> None:
    answer = b"HTTP/1.1 418 I'm a teapot\r\nX-Twice: 1\r\nx-twice: \xe9\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, provider_client(base_url=server.url) as client:
        response = await client.get("/")
    assert (response.status_code, response.reason_phrase) == (418, "I'm a teapot")
    assert response.headers.raw[:2] == [(b"X-Twice", b"1"), (b"x-twice", b"\xe9")]


async def test_a_long_answer_header_is_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Policy: " + b"a" * 30_000 + b"\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, provider_client(base_url=server.url) as client:
        response = await client.get("/")
    assert len(response.headers["x-policy"]) == 30_000


async def test_cookies_are_not_kept() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(cookie)) as server, provider_client(base_url=server.url) as client:
        first = await client.get("/")
        await client.get("/")
    assert first.headers["set-cookie"] == "session=1; Path=/"
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    redirect = f"HTTP/1.1 {status} Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode()
    async with serving(answering(redirect)) as server, provider_client(base_url=server.url) as client:
        response = await client.post("/")
    assert response.status_code == status
    assert len(server.requests) == 1


async def test_a_gzip_answer_is_decoded_once() -> None:
    packed = gzip.compress(b'{"id":"a"}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    async with serving(answering(head + packed)) as server, provider_client(base_url=server.url) as client:
        response = await client.get("/")
        async with client.stream("GET", "/") as raw:
            wire = b"".join([chunk async for chunk in raw.aiter_raw()])
    assert response.json() == {"id": "a"}
    assert wire == packed


async def hold_after_the_head(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly this")
    await peer.hold()


@pytest.mark.parametrize("behave", [never_answer, hold_after_the_head])
async def test_cancelled_requests_give_their_slots_back(behave: Behaviour) -> None:
    patient = True

    async def hold_then_answer(peer: Peer) -> None:
        await (behave if patient else answer_ok)(peer)

    timeout = httpx.Timeout(30, pool=5)
    async with (
        serving(hold_then_answer) as server,
        provider_client(base_url=server.url, limit=50, timeout=timeout) as client,
    ):
        running = [asyncio.create_task(client.post("/held")) for _ in range(50)]
        waiting = [asyncio.create_task(client.post("/waiting")) for _ in range(50)]
        await server.wait_for_requests(50)
        for task in running + waiting:
            task.cancel()
        await asyncio.gather(*running, *waiting, return_exceptions=True)
        patient = False
        answers = await asyncio.gather(*(client.post("/next") for _ in range(50)))
    assert all(task.cancelled() for task in running + waiting)
    assert [answer.status_code for answer in answers] == [200] * 50


async def test_a_response_that_is_closed_early_gives_its_slot_back() -> None:
    async with (
        serving(hold_after_the_head) as server,
        provider_client(base_url=server.url, limit=1, timeout=httpx.Timeout(30, pool=1)) as client,
    ):
        for _ in range(3):
            async with client.stream("GET", "/") as response:
                assert response.status_code == 200
    assert server.connections == 3


async def test_a_connection_is_used_again() -> None:
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        for _ in range(3):
            await client.post("/")
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_that_idled_too_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert transport.KEEPALIVE_S == 4
    monkeypatch.setattr(transport, "KEEPALIVE_S", 0)
    async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
        await client.post("/")
        await client.post("/")
    assert server.connections == 2


@pytest.mark.parametrize("status", ["200 OK", "408 Request Timeout"])
async def test_what_comes_unasked_on_a_kept_connection_is_not_the_next_answer(status: str) -> None:
    unasked = f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nstale".encode()
    may_speak, has_spoken = asyncio.Event(), asyncio.Event()

    async def speak_unasked(peer: Peer) -> None:
        is_first = peer.server.connections == 1
        await peer.read_request()
        await peer.send(OK)
        if is_first:
            await may_speak.wait()
            await peer.send(unasked)
            has_spoken.set()
        await peer.hold()

    async with serving(speak_unasked) as server, provider_client(base_url=server.url) as client:
        await client.post("/")
        may_speak.set()
        await has_spoken.wait()
        await asyncio.sleep(0)  # one turn of the loop, in which the client hears it
        answer = await client.post("/")
    assert (answer.status_code, answer.content) == (200, b"ok")
    assert (server.connections, len(server.requests)) == (2, 2)
