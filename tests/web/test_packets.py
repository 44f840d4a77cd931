"""An answer leaves in one packet, and a long one in pieces."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from orchestrator.listening import PatientProtocol

SMALL, LARGE = b"." * 4_096, b"." * 40_000


class Wire(asyncio.Transport):
    """Keeps what would be sent, call by call; `late` is what comes after its end."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self.late: list[bytes] = []
        self.is_closed = False
        self.is_read = True

    def write(self, data: Any) -> None:
        (self.late if self.is_closed else self.packets).append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


def opened(app: ASGIApp, wire: Wire) -> PatientProtocol:
    """A connection over `wire` to `app`."""
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    protocol = PatientProtocol(config, server_state=ServerState(), app_state={})
    protocol.connection_made(wire)
    return protocol


async def turns() -> None:
    """More passes of the event loop than an answer needs."""
    for _ in range(20):
        await asyncio.sleep(0)


async def answered(app: ASGIApp, request: bytes) -> Wire:
    wire = Wire()
    protocol = opened(app, wire)
    protocol.data_received(request)
    await asyncio.gather(*protocol.tasks)
    await asyncio.sleep(0)
    before_its_end = [*wire.packets]
    protocol.connection_lost(None)
    assert (wire.packets, wire.late) == (before_its_end, [])
    return wire


async def test_an_answers_head_and_body_leave_in_one_packet() -> None:
    wire = await answered(Response("here"), b"GET / HTTP/1.1\r\nhost: there\r\n\r\n")
    [packet] = wire.packets
    assert packet.startswith(b"HTTP/1.1 200 OK\r\n")
    assert packet.endswith(b"\r\n\r\nhere")


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_connection_is_closed_behind_the_answer(method: bytes) -> None:
    asked = method + b" / HTTP/1.1\r\nhost: there\r\nconnection: close\r\n\r\n"
    wire = await answered(Response("here"), asked)
    assert wire.is_closed
    assert len(wire.packets) == 1


async def test_a_long_answer_leaves_in_its_order_and_only_a_small_piece_of_it_waits() -> None:
    pieces = [b"<%d>" % number + (SMALL, SMALL, LARGE)[number % 3] for number in range(32)]

    async def long(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for count, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            waiting.append(sum(map(len, pieces[:count])) - b"".join(wire.packets).count(b"."))
        await send({"type": "http.response.body"})

    wire, waiting = Wire(), list[int]()
    opened(long, wire).data_received(b"GET / HTTP/1.1\r\nhost: there\r\n\r\n")
    await turns()
    said = b"".join(wire.packets)
    assert [int(number) for number in re.findall(rb"<(\d+)>", said)] == [*range(32)]
    assert max(waiting) < 2 * len(SMALL)


async def test_a_head_alone_leaves_too() -> None:
    wire = await answered(Response("here"), b"HEAD / HTTP/1.1\r\nhost: there\r\n\r\n")
    [packet] = wire.packets
    assert packet.endswith(b"content-length: 4\r\n\r\n")


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    async def path(scope: Any, receive: Any, send: Any) -> None:
        await Response(scope["path"])(scope, receive, send)

    requests = (b"GET /%d HTTP/1.1\r\nhost: there\r\n\r\n" % number for number in range(3))
    wire = Wire()
    protocol = opened(path, wire)
    protocol.data_received(b"".join(requests))
    assert not wire.is_read
    await turns()
    said = b"".join(wire.packets)
    assert said.count(b"HTTP/1.1 200 OK") == 3
    assert wire.is_read
    assert said.index(b"\r\n\r\n/0") < said.index(b"\r\n\r\n/1") < said.index(b"\r\n\r\n/2")


async def test_a_client_that_asks_whether_to_send_its_body_is_told_before_it_does() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await Response((await receive())["body"])(scope, receive, send)

    wire = Wire()
    protocol = opened(echo, wire)
    protocol.data_received(
        b"POST / HTTP/1.1\r\nhost: there\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n"
    )
    await turns()
    assert wire.packets == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    protocol.data_received(b"here")
    await turns()
    assert wire.packets[-1].endswith(b"\r\n\r\nhere")


@pytest.mark.parametrize(("method", "end"), [(b"GET", b"\r\n\r\nhere"), (b"HEAD", b"\r\n\r\n")])
@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_that_says_no_more_gets_what_is_answered_at_once(
    loop_factory: Any, method: bytes, end: bytes
) -> None:
    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(method + b" / HTTP/1.1\r\nhost: there\r\n\r\n")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    async def ask_often() -> list[bytes]:
        config = uvicorn.Config(Response("here"), lifespan="off", log_config=None)
        listening = await asyncio.get_running_loop().create_server(
            lambda: PatientProtocol(config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
        )
        async with listening:
            return [await ask(listening.sockets[0].getsockname()[1]) for _ in range(20)]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert all(answer.endswith(end) for answer in runner.run(ask_often()))


async def test_an_answer_to_one_who_went_away_is_dropped() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        wire.close()
        await Response("here")(scope, receive, send)

    wire = Wire()
    protocol = opened(late, wire)
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: there\r\n\r\n")
    await asyncio.gather(*protocol.tasks)
    await asyncio.sleep(0)
    assert wire.packets == wire.late == []
