"""A stack that may deliver to one receiver on loopback, and what its tests ask of both."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.invariants import check_invariants
from tests.e2e.program import free_port
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.stack import Stack, data_of, split_stack, up_stack

Hooked = tuple[Stack, Receiver]


@asynccontextmanager
async def hooked_stack() -> AsyncIterator[Hooked]:
    """A stack that may deliver to one receiver on loopback."""
    port = free_port()
    async with receiving(port) as receiver, up_stack(**allowed(port)) as stack:
        yield stack, receiver
        await check_invariants(stack)


@asynccontextmanager
async def hooked_split(*, database_url: str, redis_url: str) -> AsyncIterator[Hooked]:
    """The same on PostgreSQL, with a server and two workers."""
    port = free_port()
    servers: dict[str, Any] = {"database_url": database_url, "redis_url": redis_url}
    async with receiving(port) as receiver, split_stack(**servers, **allowed(port)) as stack:
        yield stack, receiver
        await check_invariants(stack)


def allowed(port: int) -> dict[str, Any]:
    """Settings with which webhooks may go there."""
    return {
        "ORCHESTRATOR_ALLOW_NETWORKS": "127.0.0.1/32",
        "ORCHESTRATOR_ALLOW_HTTP": "true",
        "ORCHESTRATOR_ALLOW_PORTS": str(port),
    }


def path_of(answers: str) -> str:
    return f"/{answers}/{uuid.uuid4().hex}"


async def secret_of(stack: Stack) -> str:
    return str(data_of(await stack.http.get("/api/v3/webhook/secret"))["secret"])
