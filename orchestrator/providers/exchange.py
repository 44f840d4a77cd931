"""One request, sent once, within one deadline, and what came of it as a value: adapters send through here.

Nothing is raised for what a provider or the network does. A body is read up to a cap, and the client's own
credential is taken out of it, so that no excerpt or message made of an answer can give it away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import cast

import httpx
import msgspec

MAX_ANSWER_BYTES = 64 * 2**20

NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)

_JSON = {"content-type": "application/json"}
_MIN_CREDENTIAL_BYTES = 8


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered; `is_whole` is false when the body went on after the cap."""

    status: int
    body: bytes
    retry_after: str = ""
    date: str = ""
    """The header of that name, as it came: what the time is over there."""
    is_whole: bool = True

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer; `maybe_sent` is false only when provably no byte of the request left."""

    reason: str
    maybe_sent: bool
    is_timeout: bool = False


async def exchange(
    client: httpx.AsyncClient, method: str, path: str, *, deadline_s: float, body: bytes | None = None
) -> Answer | NoAnswer:
    """Send one small request with these exact bytes as its JSON body, and read the answer."""
    try:
        request = client.build_request(method, path, content=body, headers=None if body is None else _JSON)
    except httpx.InvalidURL as error:
        return _no_answer(client, error)
    return await send(client, request, deadline_s=deadline_s)


async def send(client: httpx.AsyncClient, request: httpx.Request, *, deadline_s: float) -> Answer | NoAnswer:
    """The same for a request that is built already."""
    try:
        async with asyncio.timeout(deadline_s):
            return await _send(client, request)
    except TimeoutError:
        # How far it had come is unknown: it may have been sent.
        return NoAnswer(reason=f"no answer within {deadline_s:g} s", maybe_sent=True, is_timeout=True)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        return _no_answer(client, error)


def _no_answer(client: httpx.AsyncClient, error: Exception) -> NoAnswer:
    reason = f"{type(error).__name__}: {error}"[:1_000].encode(errors="replace")
    return NoAnswer(
        reason=_without_credential(reason, client).decode(errors="replace"),
        maybe_sent=not isinstance(error, NOT_SENT),
        is_timeout=isinstance(error, httpx.TimeoutException),
    )


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> Answer:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        body = await _read(response)
    finally:
        await response.aclose()
    return Answer(
        status=response.status_code,
        body=_without_credential(body[:MAX_ANSWER_BYTES], client),
        retry_after=response.headers.get("retry-after", "") if _has(response, b"retry-after") else "",
        date=_raw(response, b"date").decode("latin-1"),
        is_whole=len(body) <= MAX_ANSWER_BYTES,
    )


async def _read(response: httpx.Response) -> bytes:
    """Decoded piece by piece, so that a compressed bomb stops at the cap too.

    Of one coding only: each more multiplies what a piece becomes, a thousandfold, before it can be counted.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in _chunks(response):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            break
    return b"".join(parts)


def _chunks(response: httpx.Response) -> AsyncIterable[bytes]:
    """The caller closes the response."""
    if not _has(response, b"content-encoding"):  # need not pass httpx's decoders
        return cast("httpx.AsyncByteStream", response.stream)
    codings = response.headers.get_list("content-encoding", split_commas=True)
    if len(codings) > 1:
        raise httpx.DecodingError("the answer has more than one content coding")
    return response.aiter_bytes()


def _has(response: httpx.Response, name: bytes) -> bool:
    """httpx decodes all headers to look for one."""
    return any(key.lower() == name for key, _ in response.headers.raw)


def _raw(response: httpx.Response, name: bytes) -> bytes:
    return next((value for key, value in response.headers.raw if key.lower() == name), b"")


def _without_credential(body: bytes, client: httpx.AsyncClient) -> bytes:
    given = next((value for key, value in client.headers.raw if key.lower() == b"authorization"), b"")
    credential = given.rpartition(b" ")[2]
    return body.replace(credential, b"[hidden]") if len(credential) >= _MIN_CREDENTIAL_BYTES else body
