"""Reading what is stored of a large batch: its progress, and its results when all jobs have ended."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import Connection, text

from bench import stack
from bench.figures import Figure, peak_mb, quantile, reset_peak, resident_mb
from bench.receiving import LINES, MORE_LINES, client_of, send, server_on
from orchestrator.store.database import open_database

ASKED = 200
_RESULT = '{"result":{"outputs":["https://example.com/outputs/0123456789abcdef.png"]}}'


async def measure_reading(database: str, redis: str) -> list[Figure]:
    """The progress of a large batch, and the results of a finished one."""
    stack.migrate(database)
    with server_on(database, redis) as server:
        large = await send(server, MORE_LINES)
        path = f"/api/v3/batches/{large.batch_id}"
        beside_release = await _ask(server.url, path)
        await _until_released(server.url)
        asked = await _ask(server.url, path)
        done = await send(server, LINES)
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
    async with client_of(url) as client:
        while (await client.get("/api/v3/lanes")).json()["data"]["phases"].get("held"):
            await asyncio.sleep(0.1)


async def _ask(url: str, path: str) -> list[float]:
    took = []
    async with client_of(url) as client:
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
    async with client_of(url) as client:
        started = time.perf_counter()
        first_s = 0.0
        async with client.stream("GET", f"/api/v3/batches/{batch_id}/results") as answer:
            async for chunk in answer.aiter_bytes():
                first_s = first_s or time.perf_counter() - started
                lines += chunk.count(b"\n")
    if lines != LINES:
        raise RuntimeError(f"{lines} results")
    return first_s, lines / (time.perf_counter() - started)
