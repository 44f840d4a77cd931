"""The whole way of a job, and what a server costs while it rests."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench import load, stack, usual
from bench.figures import Figure, cpu_s, median, quantile, resident_mb
from orchestrator.broker import Broker

JOBS = 2_000
ROUNDS = 3
USUAL_JOBS = 60


async def throughput() -> list[Figure]:
    """2,000 jobs, one POST each, against a bare client and against a worker written the usual way."""
    ratios, ours, bare, cpus = [], [], [], []
    with stack.sandbox() as provider, stack.up(provider.url) as server:
        await load.run_through_us(server.url, 300)
        for _ in range(ROUNDS):
            alone = await load.run_bare(provider.url, JOBS)
            used = cpu_s(server.pid)
            through = await load.run_through_us(server.url, JOBS)
            cpus.append((cpu_s(server.pid) - used) / JOBS * 1_000)
            ratios.append(through.finished / alone.finished)
            ours.append(through)
            bare.append(alone.finished)
        usual_rate = await _usual(provider.url)
    rate = median([one.finished for one in ours])
    share = median([one.client_cpu_s for one in ours]) / (JOBS / rate)
    return [
        Figure(
            "finished, against a bare client",
            median(ratios),
            at_least=0.4,
            note=f"{rate:.0f}/s against {median(bare):.0f}/s; same HTTP client",
        ),
        Figure(
            "finished, against the usual worker",
            rate / usual_rate,
            at_least=3,
            note=f"{usual_rate:.0f}/s, {USUAL_JOBS} jobs",
        ),
        Figure("server CPU per job", median(cpus), " ms"),
        Figure("load generator's CPU", share * 100, " %", note="of one core, while ours ran"),
        Figure("answer to a POST, p50", quantile(ours[-1].answers, 0.5) * 1_000, " ms", note="64 at a time"),
        Figure("answer to a POST, p99", quantile(ours[-1].answers, 0.99) * 1_000, " ms"),
    ]


async def _usual(provider: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            return await usual.run_usual(provider, broker.url, USUAL_JOBS)
        finally:
            broker.stop()


async def footprint() -> list[Figure]:
    """Time to the first answer, memory at rest, and memory after 10,000 jobs."""
    with stack.sandbox() as provider:
        started = time.perf_counter()
        with stack.up(provider.url) as server:
            await asyncio.to_thread(stack.wait_until_healthy, server.url, server.process)
            ready_s = time.perf_counter() - started
            await asyncio.sleep(3)
            rest = resident_mb(server.pid)
            await load.run_through_us(server.url, 10_000)
            await asyncio.sleep(3)
            after = resident_mb(server.pid)
    return [
        Figure("start to first answer", ready_s, " s", at_most=3),
        Figure("resident at rest, API and worker", rest, " MB", at_most=150),
        Figure("more after 10,000 jobs", after - rest, " MB", at_most=30),
    ]
