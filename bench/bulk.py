"""Bulk work: receiving a batch while no worker works, reading what came of it, and the whole way."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from arq import create_pool
from arq.connections import RedisSettings
from sqlalchemy import Connection, text

from bench import load, raw, stack
from bench.figures import Figure, median, peak_mb, quantile, reset_peak, resident_mb
from orchestrator.broker import Broker
from orchestrator.net.clients import provider_client
from orchestrator.store.database import open_database
from tests.services.postgres import create_database, start_postgres

LINES, MORE_LINES = 50_000, 100_000
ROUNDS = 3
SINGLE, ENQUEUED, ASKED = 2_000, 3_000, 200
WHOLE = 5_000
_ALONE = "no worker beside it"
_RESULT = '{"result":{"outputs":["https://example.com/outputs/0123456789abcdef.png"]}}'


async def bulk() -> list[Figure]:
    return [*await _on_sqlite(), *await _on_postgres()]


async def _on_sqlite() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            urls = (f"sqlite:///{folder}/{number}.db" for number in range(100))
            receiving = await _receiving("SQLite", urls, broker.url)
            arq = await _arq_rate(broker.url)
            reading = await _reading(next(urls), broker.url)
        finally:
            broker.stop()
    with stack.sandbox() as provider, stack.up(provider.url) as server:
        whole = await _whole(provider.url, server.url)
    return [
        *receiving.figures,
        Figure("against arq's enqueue_job", receiving.rate / arq, "×", at_least=5, note=f"{arq:.0f}/s"),
        *reading,
        Figure("the whole way, against a bare client", whole.ratio, at_least=0.5, note=whole.note),
    ]


async def _on_postgres() -> list[Figure]:
    postgres = start_postgres()
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            urls = iter(lambda: create_database(postgres.url), "")
            receiving = await _receiving("PostgreSQL", urls, broker.url)
            whole = await _whole_on_postgres(next(urls), broker.url)
        finally:
            broker.stop()
            postgres.stop()
    figure = Figure("the whole way, PostgreSQL and two workers", whole.ratio, at_least=0.5, note=whole.note)
    return [*receiving.figures, figure]


@dataclass(frozen=True)
class _Receiving:
    """`rate` in lines a second."""

    rate: float
    figures: list[Figure]


async def _receiving(where: str, urls: Iterator[str], redis: str) -> _Receiving:
    """In turn: single POSTs, a batch, and its rows again by the driver; each on an empty database."""
    ratios, rates, peaks, singles = [], [], [], []
    for _ in range(ROUNDS):
        with _server(_migrated(urls), redis) as server:
            singles.append(await _single_rate(server.url))
        ours, floor = _migrated(urls), _migrated(urls)
        with _server(ours, redis) as server:
            sent = await _send(server, LINES)
        rates.append(LINES / sent.seconds)
        peaks.append(sent.grown_mb)
        ratios.append(await raw.insert(floor, await raw.read(ours, sent.batch_id)) / sent.seconds)
    with _server(_migrated(urls), redis) as server:
        more = await _send(server, MORE_LINES)
    rate = median(rates)
    times = [one / single for one, single in zip(rates, singles, strict=True)]
    figures = [
        Figure(
            f"{where}: {LINES:,} lines received, against the driver's own inserts",
            median(ratios),
            at_least=0.5,
            note=f"{rate:.0f}/s, {_ALONE}",
        ),
        Figure(
            "against single POSTs, 64 at once",
            median(times),
            "×",
            at_least=5,
            note=f"{median(singles):.0f}/s",
        ),
        Figure("memory that the server grows by", max(peaks), " MB", at_most=60),
        Figure(f"more for {MORE_LINES:,} lines", more.grown_mb - median(peaks), " MB", at_most=20),
    ]
    return _Receiving(rate, figures)


@contextmanager
def _server(database: str, redis: str) -> Iterator[stack.Running]:
    """On PostgreSQL the API alone. On SQLite its own worker lies still until the batch is complete, and
    sends nothing then, since the provider refuses its key.
    """
    with stack.sandbox() as provider, ExitStack() as running:
        if database.startswith("sqlite"):
            extra = {"DATABASE_URL": database, "REDIS_URL": redis, "WAVESPEED_API_KEY": "wrong"}
            yield running.enter_context(stack.up(provider.url, **extra))
        else:
            yield running.enter_context(stack.serve(provider.url, database=database, redis=redis))


def _migrated(urls: Iterator[str]) -> str:
    url = next(urls)
    stack.migrate(url)
    return url


@dataclass(frozen=True)
class _Sent:
    batch_id: str
    seconds: float
    grown_mb: float


async def _send(server: stack.Running, lines: int) -> _Sent:
    """One batch; the body is made beforehand."""
    body = load.batch_body(lines)
    async with _client(server.url) as client:
        (await client.get("/api/v3/lanes")).raise_for_status()
        reset_peak(server.pid)
        before, started = resident_mb(server.pid), time.perf_counter()
        batch_id = await load.send_batch(client, body)
        seconds = time.perf_counter() - started
    return _Sent(batch_id, seconds, peak_mb(server.pid) - before)


async def _single_rate(url: str) -> float:
    async with _client(url) as client:
        await load.post_all(client, load.MODEL, 200)
        started = time.perf_counter()
        await load.post_all(client, load.MODEL, SINGLE)
        return SINGLE / (time.perf_counter() - started)


async def _arq_rate(redis: str) -> float:
    pool = await create_pool(RedisSettings.from_dsn(redis))
    started = time.perf_counter()
    for number in range(ENQUEUED):
        await pool.enqueue_job("predict", {"prompt": f"a lighthouse, number {number}", "seed": number})
    rate = ENQUEUED / (time.perf_counter() - started)
    await pool.flushdb()
    await pool.aclose()
    return rate


async def _reading(database: str, redis: str) -> list[Figure]:
    """The progress of a large batch, and the results of a finished one."""
    stack.migrate(database)
    with _server(database, redis) as server:
        large = await _send(server, MORE_LINES)
        path = f"/api/v3/batches/{large.batch_id}"
        beside_release = await _ask(server.url, path)
        await _until_released(server.url)
        asked = await _ask(server.url, path)
        done = await _send(server, LINES)
        await _until_released(server.url)
        await _finish(database, done.batch_id)
        reset_peak(server.pid)
        before = resident_mb(server.pid)
        first_s, rate = await _read_results(server.url, done.batch_id)
        grown = peak_mb(server.pid) - before
    return [
        Figure(f"progress of {MORE_LINES:,}, p99", quantile(asked, 0.99) * 1_000, " ms", at_most=20),
        Figure("while its jobs are released, p99", quantile(beside_release, 0.99) * 1_000, " ms"),
        Figure(
            f"results of {LINES:,}, first byte",
            first_s * 1_000,
            " ms",
            at_most=200,
            note=f"then {rate:.0f}/s",
        ),
        Figure("memory that the server grows by", grown, " MB", at_most=10),
    ]


async def _until_released(url: str) -> None:
    async with _client(url) as client:
        while (await client.get("/api/v3/lanes")).json()["data"]["phases"].get("held"):
            await asyncio.sleep(0.1)


async def _ask(url: str, path: str) -> list[float]:
    took = []
    async with _client(url) as client:
        for _ in range(ASKED):
            started = time.perf_counter()
            (await client.get(path)).raise_for_status()
            took.append(time.perf_counter() - started)
    return took


async def _finish(database: str, batch_id: str) -> None:
    """As if every job had been sent and had ended well."""

    def finish(connection: Connection) -> None:
        values = {"batch": batch_id, "result": _RESULT}
        for statement in (
            "UPDATE jobs SET phase = 'completed', attempt = 1, ending = 1, finished_at = created_at + 1000"
            " WHERE batch_id = :batch",
            "UPDATE documents SET ending = :result"
            " WHERE job_id IN (SELECT id FROM jobs WHERE batch_id = :batch)",
            "UPDATE batches SET completed = created, created = 0, finished_at = opened_at, step = NULL"
            " WHERE id = :batch",
        ):
            connection.execute(text(statement), values)

    opened = open_database(database)
    await opened.write(finish)
    await opened.close()


async def _read_results(url: str, batch_id: str) -> tuple[float, float]:
    """Seconds to the first byte, and lines a second."""
    lines = 0
    async with _client(url) as client:
        started = time.perf_counter()
        first_s = 0.0
        async with client.stream("GET", f"/api/v3/batches/{batch_id}/results") as answer:
            async for chunk in answer.aiter_bytes():
                first_s = first_s or time.perf_counter() - started
                lines += chunk.count(b"\n")
    if lines != LINES:
        raise RuntimeError(f"{lines} results")
    return first_s, lines / (time.perf_counter() - started)


@dataclass(frozen=True)
class _Whole:
    ratio: float
    note: str


async def _whole_on_postgres(database: str, redis: str) -> _Whole:
    stack.migrate(database)
    with ExitStack() as running:
        provider = running.enter_context(stack.sandbox())
        server = running.enter_context(stack.serve(provider.url, database=database, redis=redis))
        for _ in range(2):
            running.enter_context(
                stack.worker(provider.url, database=database, redis=redis, public_url=server.url)
            )
        return await _whole(provider.url, server.url)


async def _whole(provider: str, url: str) -> _Whole:
    """From the first byte of the upload to the end of the last job, in turn with a bare client."""
    ratios, rates, bare = [], [], []
    await load.run_batch(url, 500)
    for _ in range(ROUNDS):
        alone = (await load.run_bare(provider, WHOLE)).finished
        through = await load.run_batch(url, WHOLE)
        ratios.append(through / alone)
        rates.append(through)
        bare.append(alone)
    return _Whole(median(ratios), f"{median(rates):.0f}/s against {median(bare):.0f}/s")


def _client(url: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {stack.KEY}"}
    return provider_client(base_url=url, headers=headers, timeout=httpx.Timeout(300))
