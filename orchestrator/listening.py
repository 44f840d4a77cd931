"""uvicorn's HTTP protocol with an end to its patience: a client that sends no whole request is not kept. And
with answers that leave in one packet.

The patience costs a request two additions: clocks are compared in one sweep a second over all connections.
What is refused here never became a request of the application; `web/wire.py` bounds what did.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
"""From the first byte (or the connection) to the end of the headers; also for what follows an answer."""
BODY_WINDOW_S = 15.0
BODY_LEAST = 1_500
"""So many bytes of a body must come in each window: 100 a second, as slow as any real line."""
OVERHEAD_LIMIT = 64 * 1024
"""Bytes that are no body: the headers, and what stands between chunks and behind them."""
_FRAMING = 8
"""A chunk of one byte takes five more, and its length may be written with a few zeros."""
_HELD_BACK = 16 * 1024
"""A write up to so many bytes waits for the next one, until the event loop's next pass."""


class PatientProtocol(HttpToolsProtocol):
    """One connection. `sweep` is called each second."""

    _received = 0
    _body = 0
    _head_since: float | None = None
    _window_since = 0.0
    _window_body = 0

    def connection_made(self, transport: Any) -> None:
        self._packets = _InOnePacket(transport, self.loop)
        super().connection_made(self._packets)
        self._head_since = self.loop.time()

    def eof_received(self) -> None:
        """The client has sent all that it will, and the transport closes itself behind our back: what is
        written later is lost. It is not kept open for that, since a client that went away looks the same.
        """
        self._packets.send()

    def data_received(self, data: bytes) -> None:
        if self._head_since is None and self.cycle.response_complete:
            # The next request; or the rest of one that was answered already, which ends as well.
            self._head_since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._received - self._body > OVERHEAD_LIMIT + _FRAMING * self._body:
            self._refuse(431, "The headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = self._body = 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head_since = None
        self._window_since, self._window_body = self.loop.time(), 0

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def sweep(self, now: float) -> None:
        """Close the connection if its client keeps us waiting for nothing."""
        if self._head_since is not None:
            if now - self._head_since > HEAD_S:
                self._refuse(408, "The request's headers did not come in time.")
        elif self.cycle.more_body and not self.cycle.response_complete:
            self._sweep_body(now)

    def _sweep_body(self, now: float) -> None:
        # A client that we do not read from is not to blame.
        if not self.flow.read_paused and now - self._window_since < BODY_WINDOW_S:
            return
        is_slow = self._body - self._window_body < BODY_LEAST
        if is_slow and not self.flow.read_paused:
            self._refuse(408, "The request's body did not come in time.")
        self._window_since, self._window_body = now, self._body

    def _refuse(self, status: int, message: str) -> None:
        """Say so where nothing was said yet, and close; the application sees a client that went away."""
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started:
            body = b'{"code":%d,"message":"%s"}' % (status, message.encode())
            head = b"HTTP/1.1 %d \r\nconnection: close\r\ncontent-type: application/json\r\n" % status
            self.transport.write(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        self.transport.close()


class _InOnePacket(asyncio.Transport):
    """A transport that sends a small write together with the next one, if that comes in the same pass of the
    event loop: uvicorn writes the head and the body of an answer apart, which is two calls of the system and
    two packets.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: Any) -> None:
        if self._held or len(data) > _HELD_BACK:
            self.send(data)
            return
        self._held = data
        self._loop.call_soon(self.send)

    def send(self, more: bytes = b"") -> None:
        """What is held and then `more`, now."""
        held, self._held = self._held, b""
        if (held or more) and not self._transport.is_closing():
            self._transport.writelines([held, more])

    def close(self) -> None:
        self.send()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
