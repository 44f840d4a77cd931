"""The bell through a real Valkey: it never fails its caller, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis

from orchestrator.bell import QUEUE, Bell, Kind, redis_settings
from tests.e2e.program import until
from tests.services.valkey import ValkeyProcess


async def test_rings_that_no_worker_hears_are_taken_out_again(valkey_url: str) -> None:
    bell = Bell(redis_settings(valkey_url))
    async with Redis.from_url(valkey_url) as redis:
        old = {f"old-{n}": 1_000 * (time.time() - 60) for n in range(100)}
        await redis.zadd(QUEUE, old)
        bell.ring(Kind.SUBMIT)

        async def is_tidy() -> bool:
            return int(await redis.zcard(QUEUE)) == 1

        await until(is_tidy, within=5, what="the old rings to go")
    await bell.close()


async def test_two_kinds_rung_at_once_open_one_connection_pool(valkey_url: str) -> None:
    bell = Bell(redis_settings(valkey_url))
    async with Redis.from_url(valkey_url) as redis:
        before = len(await redis.client_list())
        for kind in Kind:
            bell.ring(kind)

        async def all_rang() -> bool:
            return int(await redis.zcard(QUEUE)) == len(Kind)

        await until(all_rang, within=5, what="three rings")
        await bell.close()

        async def all_closed() -> bool:
            return len(await redis.client_list()) == before

        await until(all_closed, within=5, what="the bell's connections to close")


async def test_a_dead_redis_costs_the_caller_nothing(own_valkey: ValkeyProcess) -> None:
    bell = Bell(redis_settings(own_valkey.url))
    own_valkey.kill()
    began = asyncio.get_running_loop().time()
    bell.ring(Kind.POLL)
    assert asyncio.get_running_loop().time() - began < 0.1

    async def is_down() -> bool:
        return not bell.is_up

    await until(is_down, within=5, what="the bell to know that it is down")
    await bell.close()
