"""Bodies in and out: capped while they are read, WaveSpeed's envelope when they are written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.errors import TooLarge, TooSlow, UnsupportedBody

_encoder = msgspec.json.Encoder()

JOB_BODY_LIMIT = 10 * 1024 * 1024
# What is read as a whole is kept as a whole. A body that comes to a halt is ended by `listening`.
_LONGEST_S = 300.0


async def read_body(request: Request, *, limit: int = JOB_BODY_LIMIT) -> bytes:
    """The whole body, refused as soon as it is larger than `limit` bytes."""
    for name, value in request.scope["headers"]:
        if name == b"content-encoding" and value != b"identity":
            raise UnsupportedBody("Content-Encoding: send the body as it is.")
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.")
    body, more = await _receive(request)
    give_up_at = time.monotonic() + _LONGEST_S if more else 0.0
    while more and len(body) <= limit:
        piece, more = await _receive(request)
        body += piece
        if more and time.monotonic() > give_up_at:
            raise TooSlow
    if len(body) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    return bytes(body)


def refuse_encoded(request: Request) -> None:
    """For a body that is handed on as it comes."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedBody("Content-Encoding: send the body as it is.")


async def _receive(request: Request) -> tuple[bytearray, bool]:
    """The next piece, and whether there are more."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return bytearray(message.get("body", b"")), message.get("more_body", False)


def answer(content: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """200 with `{"code":200,"message":"success","data":…}`."""
    envelope = {"code": 200, "message": "success", "data": content}
    return Response(_encoder.encode(envelope), media_type="application/json", headers=headers)


def problem(
    status: int,
    message: str,
    *,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """An error; never with a key named `error`, which an old client raises on."""
    body: dict[str, Any] = {"code": status, "message": message, **(more or {})}
    if field is not None:
        body["field"] = field
    return Response(_encoder.encode(body), status_code=status, media_type="application/json", headers=headers)


class NoNulInUrl:
    """Refuses what PostgreSQL cannot even look for; bodies are the strict decoder's matter."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await problem(400, "A URL must not contain a NUL character.")(scope, receive, send)
            return
        await self._app(scope, receive, send)
