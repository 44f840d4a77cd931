"""httpx's API over aiohttp's connections, for every request that leaves the service.

Its errors are cut by the one question that matters to whoever pays for a request: was it sent?

    not sent    ConnectError          refused, no such host, TLS failed, the client is closed
                ConnectTimeout        no connection in time
                PoolTimeout           no free slot in time
                LocalProtocolError    the request itself cannot be written
                UnsupportedProtocol   neither http nor https
    in doubt    ReadError             dropped when a byte may have left
                ReadTimeout           no answer, or no progress, in time
                RemoteProtocolError   an answer that cannot be read

A request is written at most once, whatever its method. No cookie is kept, no redirect is followed and no
proxy of the environment is used.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from orchestrator.net.upload import Upload

if TYPE_CHECKING:
    import socket
    import ssl

    from aiohttp.abc import AbstractResolver
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import AddrInfoType, Connection
    from aiohttp.tracing import Trace

# A POST on a kept connection that the server is just closing ends in doubt: none is reused that idled longer.
# It is less than the five seconds after which many servers close.
KEEPALIVE_S = 4
MAX_HEADER_BYTES = 65_536

# httpx has set the headers it wants. aiohttp adds none of its own.
_NO_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

_TARGET = re.compile(rb"/[!-~]*")
# What aiohttp and the event loop raise; uvloop has RuntimeError where asyncio has OSError.
_FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, RuntimeError)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """At most `limit` requests at a time, each from its first byte until its response is closed."""

    def __init__(
        self,
        *,
        limit: int = 100,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        socket_factory: Callable[[AddrInfoType], socket.socket] | None = None,
    ) -> None:
        """`resolver` and `socket_factory` see every connection before it is made; theirs is the last word."""
        self._slots = asyncio.Semaphore(limit)
        self._tls = tls
        self._resolver = resolver
        self._socket_factory = socket_factory
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeouts = request.extensions.get("timeout", {})
        await self._take_slot(timeouts.get("pool"))
        try:
            answer = await self._exchange(request, timeouts)
        except BaseException:
            self._slots.release()
            raise
        reason = (answer.reason or "").encode("utf-8", "surrogateescape")
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_AnswerStream(answer, self._slots.release),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )

    async def aclose(self) -> None:
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def _take_slot(self, timeout_s: float | None) -> None:
        if not self._slots.locked():
            await self._slots.acquire()  # returns at once, without a timer
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout(f"no free connection in {timeout_s} s") from error

    async def _exchange(
        self, request: httpx.Request, timeouts: dict[str, float | None]
    ) -> aiohttp.ClientResponse:
        if self._is_closed:
            raise httpx.ConnectError("this client is closed")
        session = self._session or self._open_session()
        upload = Upload.of(request, write_s=timeouts.get("write"))
        try:
            with AsHttpxErrors():
                return await session.request(
                    request.method,
                    _exact_url(request),
                    headers=_exact_headers(request.headers),
                    data=upload,
                    timeout=_phases(timeouts.get("connect"), timeouts.get("read")),
                    allow_redirects=False,
                    # aiohttp never sends a POST again.
                    middlewares=() if request.method == "POST" else None,
                )
        except ValueError as error:  # a header, method or host that cannot be written; found before sending
            raise httpx.LocalProtocolError(str(error)) from error

    def _open_session(self) -> aiohttp.ClientSession:
        """Opened on first use: a client may be built before there is an event loop."""
        connector = _SilentConnections(
            limit=0,  # our own slots are the limit: waiting for one can then be told from connecting
            keepalive_timeout=KEEPALIVE_S,
            ssl=self._tls or True,
            resolver=self._resolver,
            use_dns_cache=self._resolver is None,
            socket_factory=self._socket_factory,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NO_AUTO_HEADERS,
            auto_decompress=False,  # httpx decodes
            trust_env=False,
            middlewares=(_send_once,),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        return self._session


class _SilentConnections(aiohttp.TCPConnector):
    """Takes no kept connection on which something came unasked: it would be the next request's answer."""

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is not None and not kept.protocol.should_close:
                return kept
            kept.close()
        return None


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """aiohttp sends GET, PUT, DELETE again after its own errors; an error of httpx's ends the request."""
    with AsHttpxErrors():
        return await send(request)


class AsHttpxErrors:
    """The only place where an error of aiohttp's or of a socket's becomes one of httpx's."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, _FOREIGN):
            raise _translated(error)(str(error) or type(error).__name__) from error


def _translated(error: Exception) -> type[httpx.TransportError]:
    """Only what provably came before the first byte counts as not sent; anything unknown is in doubt."""
    for kind, ours in _TRANSLATIONS:
        if isinstance(error, kind):
            return ours
    return httpx.ReadError


# The first row that fits counts.
_TRANSLATIONS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (aiohttp.InvalidURL, httpx.LocalProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (HttpProcessingError, httpx.RemoteProtocolError),
    (TimeoutError, httpx.ReadTimeout),
)


@lru_cache(maxsize=64)
def _phases(connect_s: float | None, read_s: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=read_s)


def _exact_url(request: httpx.Request) -> URL:
    """The whole target goes in as the path, so that not even an empty query is lost."""
    target: bytes = request.extensions.get("target", request.url.raw_path)
    if not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("the request's target has characters that no target may have")
    return URL.build(
        scheme=request.url.scheme,
        authority=request.url.netloc.decode("ascii"),
        path=target.decode("ascii"),
        encoded=True,
    )


def _exact_headers(headers: httpx.Headers) -> list[tuple[str, str]]:
    """As httpx has them, byte for byte; only the chunking is aiohttp's to announce, as it does it."""
    return [
        (name.decode("utf-8"), value.decode("utf-8"))
        for name, value in headers.raw
        if name.lower() != b"transfer-encoding"
    ]


class _AnswerStream(httpx.AsyncByteStream):
    """The body as it came over the wire. Closing it before its end drops the connection."""

    def __init__(self, answer: aiohttp.ClientResponse, free_slot: Callable[[], None]) -> None:
        self._answer = answer
        self._free_slot: Callable[[], None] | None = free_slot

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with AsHttpxErrors():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        """Awaits nothing, so that no cancellation comes between the connection and its slot."""
        self._answer.release()
        if self._free_slot is not None:
            self._free_slot()
            self._free_slot = None
