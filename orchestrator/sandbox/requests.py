"""What every route needs of a request: its sandbox, its account, its body, the URL we were called by."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from orchestrator.sandbox.house import House
from orchestrator.sandbox.protocol import Refusal
from orchestrator.sandbox.tasks import Task

BIGGEST_BODY = 64 * 2**20


def house_of(request: Request) -> House:
    """The sandbox that the request came to."""
    house: House = request.app.state.house
    return house


def account_key(request: Request) -> str:
    """The API key; 401 without one, or with one that is not the sandbox's."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    wanted = house_of(request).options.api_key
    if scheme.lower() != "bearer" or not key or "wrong" in key or (wanted and key != wanted):
        raise Refusal(401, "Unauthorized: invalid API key")
    return key


def base_url(request: Request) -> str:
    """Scheme and host as the client wrote them, unless the options know better: where it can reach us."""
    return house_of(request).options.public_url or f"http://{request.headers.get('host', '127.0.0.1')}"


def version_of(request: Request) -> str:
    """v2 or v3."""
    return request.url.path[5:7]


def own_task(request: Request) -> Task:
    """The task that the path names; 404 if this account never had it, or deleted it."""
    house, key = house_of(request), account_key(request)
    task = house.ledger.find(request.path_params["id"])
    if task is None or task.account != key or task.is_deleted:
        raise Refusal(404, "prediction not found")
    return task


async def read_body(request: Request, *, limit: int = BIGGEST_BODY) -> bytes:
    """The whole body; 413 as soon as it passes the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refusal(413, "request body too large")
        chunks.append(chunk)
    return b"".join(chunks)


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object; 400 for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"invalid JSON body: {error}") from error
