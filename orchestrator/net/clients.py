"""The two clients of the service: one for the provider with its key, one for URLs that others gave us.

Both are plain `httpx.AsyncClient`s over `AiohttpTransport`; a URL that is not theirs to call is refused with
`BlockedUrl` before anything is looked up or dialled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httpx

from orchestrator import policy
from orchestrator.net.guard import (
    AddressPolicy,
    BlockedUrl,
    DialLog,
    GuardedResolver,
    Lookup,
    check_url,
    checked_sockets,
)
from orchestrator.net.transport import AiohttpTransport

if TYPE_CHECKING:
    import ssl

    from aiohttp.abc import AbstractResolver

PROVIDER_TIMEOUT = httpx.Timeout(30, connect=10)
# No silence is cut off sooner than the whole exchange would be.
GUARDED_TIMEOUT = httpx.Timeout(policy.DELIVERY_DEADLINE_S, connect=5)


def provider_client(
    *,
    base_url: str,
    headers: Mapping[str, str] | None = None,
    limit: int = 100,
    timeout: httpx.Timeout = PROVIDER_TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """Goes to the scheme, host and port of `base_url` and nowhere else, so the key in `headers` does too.

    The operator chose that host, so its addresses are not judged.
    """
    check = partial(_check_origin, origin=_origin(httpx.URL(base_url)))
    transport = _CheckedTransport(AiohttpTransport(limit=limit, tls=tls), check)
    return _LeanClient(base_url=base_url, headers=headers, transport=transport, timeout=timeout)


def guarded_client(
    policy: AddressPolicy,
    *,
    limit: int = 100,
    timeout: httpx.Timeout = GUARDED_TIMEOUT,
    tls: ssl.SSLContext | None = None,
    lookup: Lookup | None = None,
    on_dial: DialLog | None = None,
) -> httpx.AsyncClient:
    """Goes where `policy` allows. `lookup` replaces the system's resolver; `on_dial` hears of every dial."""
    resolver = GuardedResolver(policy, most=limit, lookup=lookup)  # nobody waits for another's name
    inner = AiohttpTransport(
        limit=limit, tls=tls, resolver=resolver, socket_factory=checked_sockets(policy, on_dial)
    )
    transport = _CheckedTransport(inner, lambda url: check_url(str(url), policy), resolver=resolver)
    return _LeanClient(headers={"Accept-Encoding": "identity"}, transport=transport, timeout=timeout)


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Around a whole exchange: httpx's time-outs are per read, and a byte a second outlives them all.

    Raises httpx.ReadTimeout: how far the exchange had come is unknown, so the request is in doubt.
    """
    try:
        async with asyncio.timeout(seconds) as scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise httpx.ReadTimeout(f"not finished within {seconds} s") from error


async def read_capped(response: httpx.Response, limit_bytes: int) -> bytes:
    """The first `limit_bytes` of a streamed response as they came over the wire; the rest is not read."""
    body = bytearray()
    chunks = cast(
        "AsyncGenerator[bytes]", response.aiter_raw()
    )  # which it is; its declared type hides aclose
    async with aclosing(response), aclosing(chunks):
        async for chunk in chunks:
            body += chunk
            if len(body) >= limit_bytes:
                break
    return bytes(body[:limit_bytes])


class _LeanClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` without what we never use: no cookies, auth flows, redirects or hooks.

    A submission is on the hot path, and httpx would spend half of its time on these. It would also read
    the Location of a redirect that nobody follows, and raise what is no error of HTTP for a strange one.
    """

    def __init__(self, *, transport: httpx.AsyncBaseTransport, **options: Any) -> None:
        super().__init__(transport=transport, trust_env=False, **options)
        self._lean_transport = transport
        self._base_path = self.base_url.raw_path.rstrip(b"/")
        self._own_headers = [(b"host", self.base_url.netloc), *self.headers.raw]
        self._own_timeout = {"timeout": self.timeout.as_dict()}

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """A path goes behind the base URL as it stands, by httpx's extension `target`: no URL is parsed."""
        if not isinstance(url, str) or not url.startswith("/"):
            return super().build_request(method, url, **options)
        target = {"target": self._base_path + url.encode("ascii", "surrogateescape")}
        content, headers = options.pop("content", None), options.pop("headers", None)
        if isinstance(content, bytes) and not any(options.values()):
            return self._small_request(method, content, headers or {}, target)
        options["extensions"] = {**(options.get("extensions") or {}), **target}
        return super().build_request(method, self.base_url, content=content, headers=headers, **options)

    def _small_request(
        self, method: str, content: bytes, headers: Mapping[str, str], target: dict[str, bytes]
    ) -> httpx.Request:
        """What httpx would build, a tenth as slow: our headers are merged and encoded only once."""
        own = {name.lower().encode("ascii"): value.encode() for name, value in headers.items()}
        own[b"content-length"] = b"%d" % len(content)
        kept = [pair for pair in self._own_headers if pair[0].lower() not in own]
        return httpx.Request(
            method,
            self.base_url,
            headers=[*kept, *own.items()],
            stream=httpx.ByteStream(content),
            extensions={**self._own_timeout, **target},
        )

    async def send(self, request: httpx.Request, *, stream: bool = False, **_: Any) -> httpx.Response:
        """One exchange; what else httpx would do is off."""
        response = await self._lean_transport.handle_async_request(request)
        response.request = request
        if stream:
            return response
        try:
            await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response


class _CheckedTransport(httpx.AsyncBaseTransport):
    """Asks `check` about every request before a connection is looked for."""

    def __init__(
        self,
        inner: AiohttpTransport,
        check: Callable[[httpx.URL], None],
        *,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._inner = inner
        self._check = check
        self._resolver = resolver

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._check(request.url)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
        if self._resolver is not None:
            await self._resolver.close()


def _check_origin(url: httpx.URL, *, origin: tuple[str, bytes, int | None]) -> None:
    if _origin(url) != origin:
        raise BlockedUrl(f"{url.scheme}://{url.host}:{url.port} is not the provider")


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return (url.scheme, url.raw_host, url.port)
