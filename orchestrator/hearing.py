"""The bell's other end: an arq worker whose jobs are rings, each of which starts a drain.

arq's loop ends when Redis fails. It is started again and again, while the worker goes on by its tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from arq import Worker as ArqWorker
from arq import create_pool
from arq.typing import WorkerCoroutine
from arq.worker import func

from orchestrator.bell import QUEUE, Kind, from_bytes, redis_settings, to_bytes

_RESTART_S = (0.5, 5.0)
_LONG_S = 60.0
_LAST_RINGS_S = 0.5

Starts = Mapping[Kind, Callable[[], None]]
"""What a ring of each kind does."""


async def hear(redis_url: str, starts: Starts, log: Any, *, poll_s: float) -> None:
    """Hear rings, looking every `poll_s`, until this is cancelled."""
    pause_s, longest_s = _RESTART_S
    while True:
        started = time.monotonic()
        because = await _heard_until(redis_url, starts, poll_s)
        if time.monotonic() - started > _LONG_S:
            pause_s = _RESTART_S[0]
        log.warning("bell.down", because=because, so="running on the tick")
        await asyncio.sleep(pause_s)
        pause_s = min(longest_s, pause_s * 2)


async def _heard_until(redis_url: str, starts: Starts, poll_s: float) -> str:
    """Listen for rings; why that is over: Redis may be gone, or not let us in."""
    try:
        await _run_arq(redis_url, starts, poll_s)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "arq ended"


async def _run_arq(redis_url: str, starts: Starts, poll_s: float) -> None:
    logging.getLogger("arq").setLevel(logging.CRITICAL)
    pool = await create_pool(redis_settings(redis_url))
    worker = ArqWorker(
        [func(_ringer(start), name=f"ring_{kind}") for kind, start in starts.items()],
        queue_name=QUEUE,
        redis_pool=pool,
        job_serializer=to_bytes,
        job_deserializer=from_bytes,
        poll_delay=poll_s,
        queue_read_limit=100,
        max_jobs=20,
        keep_result=0,
        max_tries=1,
        retry_jobs=False,
        handle_signals=False,
        health_check_interval=60,
    )
    try:
        await worker.async_run()
    finally:
        # arq cancels a ring that is just being heard, says so by a cancellation of its own, and leaves its
        # connections open then.
        try:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(asyncio.gather(*worker.tasks.values()), _LAST_RINGS_S)
                await worker.close()
        finally:
            with contextlib.suppress(Exception):
                await pool.aclose(close_connection_pool=True)


def _ringer(start: Callable[[], None]) -> WorkerCoroutine:
    async def ring(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        start()

    return ring
