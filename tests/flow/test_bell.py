"""The bell through a real Valkey: it is heard, never fails its caller, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import arq
import pytest
from arq import Worker as ArqWorker
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio import Redis

from orchestrator.bell import QUEUE, Bell, Kind, redis_settings
from orchestrator.hearing import hear
from tests.e2e.program import until
from tests.services.valkey import ValkeyProcess


class Hearing:
    """What a worker in another process hears: `heard` is set by a ring of its kind."""

    def __init__(self) -> None:
        self.heard = {kind: asyncio.Event() for kind in Kind}
        self.is_down = asyncio.Event()

    def warning(self, event: str, **_: object) -> None:
        """Its log."""
        assert event == "bell.down"
        self.is_down.set()


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[Hearing]:
    there = Hearing()
    starts = {kind: event.set for kind, event in there.heard.items()}
    task = asyncio.create_task(hear(url, starts, there, poll_s=0.01))
    try:
        yield there
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_ring_starts_what_there_is_to_do_of_its_kind_elsewhere(valkey_url: str) -> None:
    bell = Bell(redis_settings(valkey_url))
    async with hearing(valkey_url) as there, asyncio.timeout(10):
        for kind in Kind:
            bell.ring(kind)
            await there.heard[kind].wait()
            assert {one for one, event in there.heard.items() if event.is_set()} == {kind}
            there.heard[kind].clear()
    await bell.close()


async def test_rings_are_heard_again_after_redis_was_gone(own_valkey: ValkeyProcess) -> None:
    bell = Bell(redis_settings(own_valkey.url))
    async with hearing(own_valkey.url) as there, asyncio.timeout(30):
        bell.ring(Kind.SUBMIT)
        await there.heard[Kind.SUBMIT].wait()
        there.heard[Kind.SUBMIT].clear()
        own_valkey.kill()
        await there.is_down.wait()
        own_valkey.restart()

        async def is_heard() -> bool:
            bell.ring(Kind.SUBMIT)
            return there.heard[Kind.SUBMIT].is_set()

        await until(is_heard, what="a ring to be heard again")
    await bell.close()


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


async def test_a_cancellation_of_arqs_own_leaves_no_connection_open(
    own_valkey: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[ArqRedis] = []

    async def create_pool(settings: RedisSettings) -> ArqRedis:
        opened.append(await arq.create_pool(settings))
        return opened[-1]

    async def close(_worker: ArqWorker) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("orchestrator.hearing.create_pool", create_pool)
    monkeypatch.setattr(ArqWorker, "close", close)
    bell = Bell(redis_settings(own_valkey.url))
    async with hearing(own_valkey.url) as there, asyncio.timeout(10):
        bell.ring(Kind.SUBMIT)
        await there.heard[Kind.SUBMIT].wait()
    await bell.close()
    # Without `opened` the garbage collector would close it, some time later.
    async with Redis.from_url(own_valkey.url) as redis:
        assert len(await redis.client_list()) == 1


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


async def test_a_redis_that_does_not_answer_is_known_before_the_first_ring(own_valkey: ValkeyProcess) -> None:
    bell = Bell(redis_settings(own_valkey.url))
    await bell.look()
    assert bell.is_up
    own_valkey.kill()
    await bell.look()
    assert not bell.is_up
    await bell.close()
