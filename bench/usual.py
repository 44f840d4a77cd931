"""A worker written the usual way: one arq job per prediction, arq's defaults, polling for the result."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

_POLL_S = 1.0
_POLITE = httpx.Timeout(30)


async def run_usual(provider: str, redis: str, count: int) -> float:
    """Predictions per second from the first enqueue to the last result."""
    done = asyncio.Event()
    left = count
    async with httpx.AsyncClient(
        base_url=provider, headers={"authorization": "Bearer bench"}, timeout=_POLITE, trust_env=False
    ) as client:

        async def predict(_ctx: dict[Any, Any], number: int) -> None:
            nonlocal left
            answer = await client.post("/api/v3/wavespeed-ai/flux-dev", json={"prompt": f"number {number}"})
            task = answer.json()["data"]["id"]
            while True:
                result = await client.get(f"/api/v3/predictions/{task}/result")
                if result.json()["data"]["status"] in ("completed", "failed"):
                    break
                await asyncio.sleep(_POLL_S)
            left -= 1
            if left == 0:
                done.set()

        settings = RedisSettings.from_dsn(redis)
        worker = Worker([func(predict, name="predict")], redis_settings=settings, handle_signals=False)  # type: ignore[arg-type]
        pool = await create_pool(settings)
        running = asyncio.create_task(worker.async_run())
        started = time.perf_counter()
        for number in range(count):
            await pool.enqueue_job("predict", number)
        await done.wait()
        rate = count / (time.perf_counter() - started)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.aclose()
    return rate
