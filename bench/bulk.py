"""Bulk work: receiving a batch while no worker works, reading what came of it, and the whole way."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import load, stack
from bench.figures import Figure, median
from bench.reading import measure_reading
from bench.receiving import ROUNDS, measure_receiving
from orchestrator.broker import Broker
from tests.services.postgres import create_database, start_postgres

WHOLE = 5_000


async def bulk() -> list[Figure]:
    return [*await _on_sqlite(), *await _on_postgres()]


async def _on_sqlite() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            urls = (f"sqlite:///{folder}/{number}.db" for number in range(100))
            receiving = await measure_receiving("SQLite", urls, broker.url)
            reading = await measure_reading(next(urls), broker.url)
        finally:
            broker.stop()
    with stack.sandbox() as provider, stack.up(provider.url) as server:
        whole = await _whole(provider.url, server.url)
    return [
        *receiving,
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
            receiving = await measure_receiving("PostgreSQL", urls, broker.url)
            whole = await _whole_on_postgres(next(urls), broker.url)
        finally:
            broker.stop()
            postgres.stop()
    figure = Figure("the whole way, PostgreSQL and two workers", whole.ratio, at_least=0.5, note=whole.note)
    return [*receiving, figure]


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
