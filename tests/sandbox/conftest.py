"""A sandbox over real HTTP in the test's own loop, and a receiver that notes the callbacks it gets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp import web

from orchestrator.sandbox.options import Options
from orchestrator.sandbox.server import running
from orchestrator.sandbox.signing import secret_of, sign

QUICK = Options(tier="none", duration_s=0.0, callback_backoff_s=0.01)
FLUX = "/api/v3/wavespeed-ai/flux-dev"


@dataclass
class Client:
    """Speaks to one sandbox with one key."""

    http: httpx.AsyncClient

    async def submit(self, path: str = FLUX, *, webhook: str = "", **inputs: Any) -> httpx.Response:
        """POST of an input, to flux-dev unless told otherwise."""
        params = {"webhook": webhook} if webhook else {}
        body = {"prompt": "a quiet sea", **inputs} if path.endswith("flux-dev") else inputs
        return await self.http.post(path, json=body, params=params)

    async def created(self, path: str = FLUX, **arguments: Any) -> dict[str, Any]:
        """The prediction of a submit that must succeed."""
        response = await self.submit(path, **arguments)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    async def ended(self, path: str = FLUX, **arguments: Any) -> dict[str, Any]:
        """The prediction of a submit, waited for in sync mode: its end, whatever it is."""
        return await self.created(path, enable_sync_mode=True, **arguments)

    async def result(self, task_id: str) -> dict[str, Any]:
        """The prediction as a poll shows it."""
        response = await self.http.get(f"/api/v3/predictions/{task_id}/result")
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    async def control(self, name: str) -> dict[str, Any]:
        """One of the control pages."""
        data: dict[str, Any] = (await self.http.get(f"/control/{name}")).json()
        return data

    async def order(self, name: str, **body: Any) -> dict[str, Any]:
        """POST to a control endpoint; must succeed."""
        response = await self.http.post(f"/control/{name}", json=body)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()
        return data


@dataclass
class Receiver:
    """Takes callbacks and gives them back in the order of arrival; answers from a list, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    arrived: asyncio.Queue[tuple[dict[str, str], bytes]] = field(default_factory=asyncio.Queue)

    async def next(self) -> tuple[dict[str, str], bytes]:
        """Headers in lower case, and the raw body."""
        return await asyncio.wait_for(self.arrived.get(), 10)

    async def take(self, request: web.Request) -> web.Response:
        """The door."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrived.put_nowait((headers, await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


def is_signed(client: Client, headers: dict[str, str], body: bytes) -> bool:
    """Whether a callback carries the signature of this client's account."""
    key = client.http.headers["Authorization"].removeprefix("Bearer ")
    stamp, message_id = int(headers["webhook-timestamp"]), headers["webhook-id"]
    expected = sign(secret=secret_of(key), message_id=message_id, timestamp=stamp, body=body)
    return headers.get("webhook-signature") == expected


@pytest.fixture(scope="session")
async def sandbox_url() -> AsyncIterator[str]:
    """One sandbox for all tests of this process; a test that needs other options overrides this."""
    async with running(QUICK) as url:
        yield url


@pytest.fixture
async def client(sandbox_url: str) -> AsyncIterator[Client]:
    """A client with a key of its own; the sandbox has forgotten what was before."""
    headers = {"Authorization": f"Bearer k-{os.urandom(4).hex()}"}
    async with httpx.AsyncClient(base_url=sandbox_url, headers=headers, timeout=20) as http:
        client = Client(http)
        await client.order("reset")
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=10**9)
    app.router.add_post("/{tail:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    yield receiver
    await runner.cleanup()
