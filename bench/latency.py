"""Latency at a quiet 20 jobs a second: to the provider, and from its callback to the waiting client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec

from bench import stack
from bench.figures import Figure, quantile
from orchestrator.clock import from_rfc3339
from orchestrator.net.clients import provider_client
from tests.services.postgres import start_postgres

PER_SECOND = 20
JOBS = 200
_DEAD_REDIS = "redis://127.0.0.1:1"


async def latency() -> list[Figure]:
    with stack.sandbox(duration_s=0.2) as provider, stack.up(provider.url) as server:
        seen = await _send(server.url)
        tasks = await _bill(provider.url)
    to_provider = [tasks[one.prompt]["created_ms"] - one.accepted_ms for one in seen]
    to_client = [one.ended_ms - tasks[one.prompt]["ended_ms"] for one in seen]
    with stack.sandbox(duration_s=0.2) as provider, _without_bell(provider.url) as url:
        silenced = await _send(url)
        tasks = await _bill(provider.url)
    on_tick = [tasks[one.prompt]["created_ms"] - one.accepted_ms for one in silenced]
    return [
        Figure("accepted → POST at the provider, p50", quantile(to_provider, 0.5), " ms", at_most=30),
        Figure("accepted → POST at the provider, p99", quantile(to_provider, 0.99), " ms"),
        Figure(
            "task ended → result at the client, p50",
            quantile(to_client, 0.5),
            " ms",
            at_most=15,
            note="callback, commit, sync answer",
        ),
        Figure("task ended → result at the client, p99", quantile(to_client, 0.99), " ms"),
        Figure(
            "bell silenced: accepted → POST, p50",
            quantile(on_tick, 0.5),
            " ms",
            at_most=1_200,
            note="PostgreSQL, Redis gone",
        ),
        Figure("bell silenced: accepted → POST, p99", quantile(on_tick, 0.99), " ms"),
    ]


class _Seen(msgspec.Struct, frozen=True):
    prompt: str
    accepted_ms: float
    ended_ms: float


async def _send(url: str) -> list[_Seen]:
    """Sync-mode jobs at a steady rate; `accepted` is the job's own `created_at`."""
    async with provider_client(base_url=url, headers={"authorization": f"Bearer {stack.KEY}"}) as client:
        started = time.monotonic()
        jobs = []
        for number in range(JOBS):
            await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))
            jobs.append(asyncio.create_task(_one(client, f"boat {number}")))
        return list(await asyncio.gather(*jobs))


async def _one(client: httpx.AsyncClient, prompt: str) -> _Seen:
    body = msgspec.json.encode({"prompt": prompt, "enable_sync_mode": True})
    answer = await client.post("/api/v3/wavespeed-ai/flux-dev", content=body, timeout=60)
    ended = time.time() * 1_000
    created = answer.json()["data"]["created_at"]
    return _Seen(prompt, from_rfc3339(created), ended)


async def _bill(provider: str) -> dict[str, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        tasks = (await client.get(f"{provider}/control/tasks")).json()["tasks"]
    return {task["prompt"]: task for task in tasks}


@contextmanager
def _without_bell(provider: str) -> Iterator[str]:
    postgres = start_postgres()
    try:
        stack.migrate(postgres.url)
        with (
            stack.serve(provider, database=postgres.url, redis=_DEAD_REDIS) as server,
            stack.worker(provider, database=postgres.url, redis=_DEAD_REDIS, public_url=server.url),
        ):
            yield server.url
    finally:
        postgres.stop()
