"""Jobs that tell a webhook of their end, and how long that took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import httpx

from bench import load
from orchestrator.clock import from_rfc3339


async def delays(client: httpx.AsyncClient, receiver: str, *, count: int, per_second: int) -> list[float]:
    """From the end of each job, as its row tells it, to its message at the receiver, in ms."""
    await answer_with(receiver, 200)
    ids = await submit_at_rate(client, [f"{receiver}/hook"] * count, per_second=per_second)
    came = await seen(receiver, count)
    return [came[f"{job_id}-1"] - await _ended_at(client, job_id) for job_id in ids]


async def submit_at_rate(client: httpx.AsyncClient, webhooks: Sequence[str], *, per_second: int) -> list[str]:
    """The ids of jobs with these webhooks."""
    started, jobs = time.monotonic(), []
    for number, webhook in enumerate(webhooks):
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
        jobs.append(asyncio.create_task(submit(client, webhook)))
    return list(await asyncio.gather(*jobs))


async def submit(client: httpx.AsyncClient, webhook: str) -> str:
    answer = await client.post(f"{load.MODEL}?webhook={webhook}", content=b'{"prompt":"a lighthouse"}')
    return str(answer.raise_for_status().json()["data"]["id"])


async def answer_with(receiver: str, status: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.put(f"{receiver}/answer/{status}")


async def seen(receiver: str, count: int) -> dict[str, float]:
    """When each message came, once there are so many."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            came: dict[str, float] = (await client.get(f"{receiver}/seen")).json()
            if len(came) >= count:
                return came
            await asyncio.sleep(0.2)


async def _ended_at(client: httpx.AsyncClient, job_id: str) -> int:
    told = (await client.get(f"/api/v3/jobs/{job_id}")).raise_for_status().json()["data"]
    return from_rfc3339(told["finished_at"])
