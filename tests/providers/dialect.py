"""What the conformance suite must know of a provider: how to open its adapter, and how it words an answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx

from orchestrator.net.clients import provider_client
from orchestrator.providers.base import Provider, Submission, TaskRef
from tests.net.raw_server import Behaviour, Peer, RawServer, serving

KEY = "a-key-that-nobody-may-see"
HTML = b"<html><body><h1>The gateway had a bad moment</h1></body></html>"


class Dialect(Protocol):
    """One provider's way of speaking."""

    submission: Submission
    task: TaskRef

    def open(self, client: httpx.AsyncClient, *, deadline_s: float = 20.0) -> Provider:
        """The adapter over this client."""

    def accepted(self) -> bytes:
        """The answer to a POST that made `task`."""

    def running(self) -> bytes:
        """The answer to a poll of `task` before its end."""

    def completed(self, outputs: bytes) -> bytes:
        """The answer to a poll of `task` with these outputs, as JSON text, valid or not."""

    def failed(self, *, is_input_wrong: bool) -> bytes:
        """The answer to a poll of `task` that failed, by the input's fault or by the provider's."""

    def refusal(self, status: int, message: str) -> bytes:
        """The body of an error with this HTTP status."""


def http(status: int, body: bytes, *headers: str, content_type: str = "application/json") -> bytes:
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@asynccontextmanager
async def client_to(url: str, *, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
    client = provider_client(base_url=url, headers={"authorization": f"Bearer {key}"})
    async with client:
        yield client


@asynccontextmanager
async def facing(behave: Behaviour) -> AsyncIterator[tuple[httpx.AsyncClient, RawServer]]:
    """A client of a server that behaves like this."""
    async with serving(behave) as server, client_to(server.url) as client:
        yield client, server


def replying(reply: Callable[[bytes], bytes]) -> Behaviour:
    """Answers each request, head and body, with what `reply` makes of it."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.send(reply(await peer.read_request()))

    return behave
