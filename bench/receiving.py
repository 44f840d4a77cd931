"""Receiving batches while no worker works, beside single POSTs, the driver's own inserts, and arq."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
from arq import create_pool
from arq.connections import RedisSettings

from bench import load, raw, stack
from bench.figures import Figure, median, peak_mb, reset_peak, resident_mb
from orchestrator.net.clients import provider_client

LINES, MORE_LINES = 50_000, 100_000
ROUNDS = 3
SINGLE = 2_000
_ALONE = "no worker beside it"


async def measure_receiving(where: str, urls: Iterator[str], redis: str) -> list[Figure]:
    """In turn: single POSTs, a batch, arq, and the batch's rows by the driver; each on an empty database."""
    ratios, rates, peaks, singles, enqueued = [], [], [], [], []
    for _ in range(ROUNDS):
        with server_on(migrated(urls), redis) as server:
            singles.append(await _single_rate(server.url))
        ours, drivers = migrated(urls), migrated(urls)
        with server_on(ours, redis) as server:
            sent = await send(server, LINES)
        enqueued.append(await _arq_rate(redis))
        rates.append(LINES / sent.seconds)
        peaks.append(sent.grown_mb)
        ratios.append(await raw.insert(drivers, await raw.read(ours, sent.batch_id)) / sent.seconds)
    with server_on(migrated(urls), redis) as server:
        more = await send(server, MORE_LINES)
    rate = median(rates)
    return [
        Figure(
            f"{where}: {LINES:,} lines received, against the driver's own inserts",
            median(ratios),
            at_least=0.5,
            note=f"{rate:.0f}/s, {_ALONE}",
        ),
        Figure(
            "against single POSTs, 64 at once",
            _median_of_pairs(rates, singles),
            "×",
            at_least=5,
            note=f"{median(singles):.0f}/s",
        ),
        Figure(
            "against arq's enqueue_job for as many jobs",
            _median_of_pairs(rates, enqueued),
            "×",
            at_least=5,
            note=f"{median(enqueued):.0f}/s",
        ),
        Figure("memory that the server grows by", max(peaks), " MB", at_most=60),
        Figure(f"more for {MORE_LINES:,} lines", more.grown_mb - median(peaks), " MB", at_most=20),
    ]


def _median_of_pairs(ours: list[float], theirs: list[float]) -> float:
    """Of what was measured one after the other, since a machine is not always equally fast."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


@contextmanager
def server_on(database: str, redis: str) -> Iterator[stack.Running]:
    """On PostgreSQL the API alone. On SQLite its own worker lies still until the batch is complete, and
    sends nothing then, since the provider refuses its key.
    """
    with stack.sandbox() as provider, ExitStack() as running:
        if database.startswith("sqlite"):
            extra = {"DATABASE_URL": database, "REDIS_URL": redis, "WAVESPEED_API_KEY": "wrong"}
            yield running.enter_context(stack.up(provider.url, **extra))
        else:
            yield running.enter_context(stack.serve(provider.url, database=database, redis=redis))


def migrated(urls: Iterator[str]) -> str:
    url = next(urls)
    stack.migrate(url)
    return url


@dataclass(frozen=True)
class Sent:
    batch_id: str
    seconds: float
    grown_mb: float


async def send(server: stack.Running, lines: int) -> Sent:
    """One batch; the body is made beforehand."""
    body = load.batch_body(lines)
    async with client_of(server.url) as client:
        (await client.get("/api/v3/lanes")).raise_for_status()
        reset_peak(server.pid)
        before, started = resident_mb(server.pid), time.perf_counter()
        batch_id = await load.send_batch(client, body)
        seconds = time.perf_counter() - started
    return Sent(batch_id, seconds, peak_mb(server.pid) - before)


async def _single_rate(url: str) -> float:
    async with client_of(url) as client:
        await load.post_all(client, load.MODEL, 200)
        started = time.perf_counter()
        await load.post_all(client, load.MODEL, SINGLE)
        return SINGLE / (time.perf_counter() - started)


async def _arq_rate(redis: str) -> float:
    pool = await create_pool(RedisSettings.from_dsn(redis))
    started = time.perf_counter()
    for number in range(LINES):
        await pool.enqueue_job("predict", {"prompt": f"a lighthouse, number {number}", "seed": number})
    rate = LINES / (time.perf_counter() - started)
    await pool.flushdb()
    await pool.aclose()
    return rate


def client_of(url: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {stack.KEY}"}
    return provider_client(base_url=url, headers=headers, timeout=httpx.Timeout(300))
