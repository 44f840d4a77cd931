"""The bell: tells workers that there is work of a kind. It carries no job and may be lost.

A ring goes straight to the drains of this process, if it has any, and through arq to some worker.
Rings of one kind leave at most once in 20 ms, the first at once; a failing Redis costs nothing but
latency, since every worker looks by itself each second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

import msgspec
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError

QUEUE = "orchestrator:bell"
QUIET_S = 0.02
# Beside drains of our own a ring through Redis only wakes the other workers.
QUIET_BESIDE_OWN_S = 0.25
_TIDY_EVERY_S = 10.0
_STALE_S = 30.0


class Kind(StrEnum):
    """What there is to do; each has a drain in every worker."""

    SUBMIT = "submit"
    POLL = "poll"
    DELIVER = "deliver"
    BATCH = "batch"


def to_bytes(job: dict[str, Any]) -> bytes:
    """arq's serializer: JSON, since its default would run what anybody wrote into Redis."""
    return msgspec.json.encode(job)


def from_bytes(job: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(job)
    return decoded


class Bell:
    """Rings drains, here and elsewhere; `is_up` is what the last word with Redis showed."""

    def __init__(self, redis: RedisSettings | None) -> None:
        self._settings = redis
        self._pool: ArqRedis | None = None
        self._opening = asyncio.Lock()
        self._tidied_at = 0.0
        self._drains: dict[Kind, Callable[[], None]] = {}
        self._rung_at: dict[Kind, float] = {}
        self._later: dict[Kind, asyncio.TimerHandle] = {}
        self._ringing: set[asyncio.Task[None]] = set()
        self.is_up = True

    def listen(self, kind: Kind, drain: Callable[[], None]) -> None:
        """Start `drain` directly whenever this process rings."""
        self._drains[kind] = drain

    def ring(self, kind: Kind) -> None:
        """Never waits and never fails."""
        if kind in self._drains:
            self._drains[kind]()
        if self._settings is None or kind in self._later:
            return
        loop = asyncio.get_running_loop()
        quiet_s = QUIET_BESIDE_OWN_S if self._drains else QUIET_S
        wait_s = self._rung_at.get(kind, -quiet_s) + quiet_s - loop.time()
        if wait_s <= 0:
            self._send(kind)
        else:
            self._later[kind] = loop.call_later(wait_s, self._send, kind)

    async def look(self) -> None:
        """Learn whether Redis answers though there is nothing to ring for. Never fails; takes 2 s at most."""
        if self._settings is not None:
            await self._reach(self._settings, lambda pool: pool.ping())

    async def close(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        for task in list(self._ringing):
            task.cancel()
        await asyncio.gather(*self._ringing, return_exceptions=True)
        if self._pool is not None:
            await self._pool.aclose()

    def _send(self, kind: Kind) -> None:
        self._later.pop(kind, None)
        if self._settings is None:
            return
        self._rung_at[kind] = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._enqueue(kind, self._settings))
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def _enqueue(self, kind: Kind, settings: RedisSettings) -> None:
        async def enqueue(pool: ArqRedis) -> None:
            await self._tidy(pool)
            await pool.enqueue_job(f"ring_{kind}", _queue_name=QUEUE, _expires=60)

        await self._reach(settings, enqueue)

    async def _reach(self, settings: RedisSettings, say: Callable[[ArqRedis], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(2):
                async with self._opening:
                    pool = await self._connected(settings)
                await say(pool)
            self.is_up = True
        except (RedisError, OSError, TimeoutError):
            self.is_up = False

    async def _tidy(self, pool: ArqRedis) -> None:
        """Take old rings out of the queue, which would grow for ever while no worker lives."""
        now = time.time()
        if now - self._tidied_at > _TIDY_EVERY_S:
            self._tidied_at = now
            await pool.zremrangebyscore(QUEUE, "-inf", int(1_000 * (now - _STALE_S)))

    async def _connected(self, settings: RedisSettings) -> ArqRedis:
        if self._pool is None:
            self._pool = await create_pool(
                settings,
                retry=0,
                job_serializer=to_bytes,
                job_deserializer=from_bytes,
                default_queue_name=QUEUE,
            )
        return self._pool


def redis_settings(url: str) -> RedisSettings:
    """`redis://…`, `rediss://…` or `unix://…`."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 0
    return settings
