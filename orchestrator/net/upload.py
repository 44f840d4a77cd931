"""A request body on its way from httpx to aiohttp, one chunk at a time in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from typing import TYPE_CHECKING

import aiohttp
import httpx

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

PIECE_BYTES = 65_536


class Upload(aiohttp.Payload):
    """Each piece is sent within `write_s`, which aiohttp has no time-out for. Read once, so sent once."""

    _value: AsyncIterable[bytes]

    def __init__(self, chunks: AsyncIterable[bytes], *, write_s: float | None) -> None:
        super().__init__(chunks)
        self._write_s = write_s

    @classmethod
    def of(cls, request: httpx.Request, *, write_s: float | None) -> Upload | bytes | None:
        """A small body that is here already goes as it is: the socket's buffer takes it at once."""
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise httpx.LocalProtocolError("a synchronous stream in an asynchronous request")
        if isinstance(request.stream, httpx.ByteStream):
            body = b"".join(request.stream)
            if len(body) <= PIECE_BYTES and _announces(request, len(body)):
                return body or None
        return cls(request.stream, write_s=write_s)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a stream is read only once")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Bytes beyond the announced length would be read as the next request on this connection."""
        written = 0
        async for chunk in self._value:
            written += len(chunk)
            if content_length is not None and written > content_length:
                raise ValueError(f"the body is longer than its Content-Length of {content_length}")
            for piece in _pieces(chunk):
                async with asyncio.timeout(self._write_s):
                    await writer.write(piece)
                    await writer.drain()
        if content_length is not None and written < content_length:
            raise ValueError(f"the body has {written} bytes, its Content-Length is {content_length}")


def _announces(request: httpx.Request, length: int) -> bool:
    announced: str = request.headers.get("content-length", "0")
    return announced == str(length)


def _pieces(chunk: bytes) -> Iterator[bytes | memoryview]:
    """Small enough that a slow but steady network sends each in time."""
    if len(chunk) <= PIECE_BYTES:
        return iter((chunk,))
    view = memoryview(chunk)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))
