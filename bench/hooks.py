"""Webhooks in both directions: how soon and how fast users are told, and what a callback costs to take."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from bench import accept, load, stack
from bench.black_holes import beside_black_holes
from bench.figures import Figure, median, quantile
from bench.receiver import receiving
from bench.telling import answer_with, delays, seen, submit
from orchestrator import policy
from orchestrator.net.clients import guarded_client, provider_client, read_capped
from orchestrator.net.guard import AddressPolicy
from orchestrator.sandbox.signing import secret_of, sign

PER_SECOND, EVENTS = 50, 300
DELIVERIES = 1_000
CALLBACKS = 2_000
REQUESTS = 1_500
ROUNDS = 5
BODY = msgspec.json.encode({"id": "0" * 32, "status": "completed", "outputs": ["https://example.com/x.png"]})
_BEARER = {"authorization": f"Bearer {stack.KEY}"}


async def hooks() -> list[Figure]:
    with receiving() as receiver:
        figures = await _guarded_cost(receiver)
        allowed = {
            "ORCHESTRATOR_ALLOW_NETWORKS": "127.0.0.1/32",
            "ORCHESTRATOR_ALLOW_HTTP": "true",
            "ORCHESTRATOR_ALLOW_PORTS": str(urlsplit(receiver).port),
        }
        with stack.sandbox() as provider, stack.up(provider.url, **allowed) as server:
            async with provider_client(base_url=server.url, headers=_BEARER) as client:
                figures += await _soon(client, receiver)
                figures.append(await _fast(client, receiver))
    return [*figures, await beside_black_holes(), await _taken()]


async def _soon(client: httpx.AsyncClient, receiver: str) -> list[Figure]:
    took = await delays(client, receiver, count=EVENTS, per_second=PER_SECOND)
    note = f"{PER_SECOND} a second"
    return [
        Figure("job ended → webhook, p50", quantile(took, 0.5), " ms", at_most=30, note=note),
        Figure("job ended → webhook, p95", quantile(took, 0.95), " ms", at_most=100, note=note),
    ]


async def _fast(client: httpx.AsyncClient, receiver: str) -> Figure:
    """Messages that have died are sent again all at once; a plain httpx sends as many at a time."""
    await answer_with(receiver, 410)
    # Each has a URL of its own: what waits for one that has answered 410 is not sent.
    await asyncio.gather(*(submit(client, f"{receiver}/hook?{number}") for number in range(DELIVERIES)))
    await seen(receiver, DELIVERIES)
    params = "state=dead&since=2020-01-01T00:00:00Z"
    while (await _post(client, f"/api/v3/deliveries/redeliver?{params}&dry_run=true"))["count"] < DELIVERIES:
        await asyncio.sleep(0.05)
    await answer_with(receiver, 200)
    await _post(client, f"/api/v3/deliveries/redeliver?{params}")
    ours = _rate(await seen(receiver, DELIVERIES))
    await answer_with(receiver, 200)
    async with httpx.AsyncClient(trust_env=False) as plain:
        await _many(lambda: plain.post(f"{receiver}/hook", content=BODY), DELIVERIES)
    bare = _rate(await seen(receiver, DELIVERIES))
    note = f"{ours:.0f}/s against {bare:.0f}/s, {policy.DELIVERIES_PER_HOST} at a time"
    return Figure("deliveries, against a bare client", ours / bare, at_least=0.5, note=note)


async def _guarded_cost(receiver: str) -> list[Figure]:
    """CPU of one small POST after another, the clients in turn."""
    port = urlsplit(receiver).port or 80
    addresses = AddressPolicy(
        allow_networks=(ip_network("127.0.0.1/32"),), allow_http=True, allow_ports=frozenset({port})
    )
    url = f"{receiver}/hook"
    async with (
        guarded_client(addresses) as guarded,
        provider_client(base_url=receiver) as unguarded,
        httpx.AsyncClient(trust_env=False) as plain,
    ):
        costs = [[await _cost(client, url) for client in (guarded, plain, unguarded)] for _ in range(ROUNDS)]
    ours = median([one[0] for one in costs])
    return [
        Figure(
            "guarded client, against httpx itself",
            median([one[0] / one[1] for one in costs]),
            " times",
            at_most=1.15,
            note=f"{ours * 1e6:.0f} us CPU a request",
        ),
        Figure(
            "guarded client, against ours without the guard", median([c[0] / c[2] for c in costs]), " times"
        ),
    ]


async def _cost(client: httpx.AsyncClient, url: str) -> float:
    async def post() -> None:
        async with client.stream("POST", url, content=BODY) as response:
            await read_capped(response, 16_000)

    await post()
    used = time.process_time()
    for _ in range(REQUESTS):
        await post()
    return (time.process_time() - used) / REQUESTS


async def _taken() -> Figure:
    """Signed callbacks of jobs at the provider, against a server that inserts a row for each request."""
    ratios, rates = [], []
    with (
        stack.sandbox(duration_s=3_600) as provider,
        tempfile.TemporaryDirectory() as folder,
        accept.one_row_server(Path(folder)) as bare,
        stack.up(provider.url) as server,
    ):
        for _ in range(3):
            letters = await _letters(provider.url, server.url)
            async with provider_client(base_url=server.url) as client:
                rate = await _sent(client, letters)
            async with provider_client(base_url=bare) as client:
                floor = await _sent(client, letters)
            rates.append(rate)
            ratios.append(floor / rate)
    note = f"{median(rates):.0f}/s; same groups, same server"
    return Figure(
        "a callback checked and applied, against one row", median(ratios), " times", at_most=2, note=note
    )


Letter = tuple[str, bytes, dict[str, str]]


async def _letters(provider: str, server: str) -> list[Letter]:
    """The end of each task that has not been told yet, as the provider would sign it."""
    async with provider_client(base_url=server, headers=_BEARER) as client:
        await load.post_all(client, load.MODEL, CALLBACKS)
        while (phases := (await _get(client, "/api/v3/lanes"))["phases"])["accepted"] < CALLBACKS:
            assert sum(phases.values()) >= CALLBACKS
            await asyncio.sleep(0.1)
    async with provider_client(base_url=provider) as client:
        tasks = (await client.get("/control/tasks")).json()["tasks"][-CALLBACKS:]
    return [_letter(task) for task in tasks]


def _letter(task: dict[str, Any]) -> Letter:
    body = msgspec.json.encode(
        {"id": task["id"], "status": "completed", "outputs": ["https://example.com/x.png"]}
    )
    now = int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": task["id"],
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret=secret_of("bench"), message_id=task["id"], timestamp=now, body=body),
    }
    return urlsplit(task["webhook"]).path, body, headers


async def _sent(client: httpx.AsyncClient, letters: list[Letter]) -> float:
    """Letters per second, 64 at a time."""
    waiting = iter(letters)

    async def send() -> None:
        for path, body, headers in waiting:
            answer = await client.post(path, content=body, headers=headers)
            assert answer.status_code == 200, answer.text

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(load.AT_A_TIME)))
    return len(letters) / (time.perf_counter() - started)


async def _many(send: Callable[[], Awaitable[object]], count: int) -> None:
    """As many at a time as deliveries to one host."""
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            await send()

    await asyncio.gather(*(work() for _ in range(policy.DELIVERIES_PER_HOST)))


async def _get(client: httpx.AsyncClient, path: str) -> Any:
    return (await client.get(path)).raise_for_status().json()["data"]


async def _post(client: httpx.AsyncClient, path: str) -> Any:
    return (await client.post(path)).raise_for_status().json()["data"]


def _rate(seen: dict[str, float]) -> float:
    return 1_000 * (len(seen) - 1) / (max(seen.values()) - min(seen.values()))
