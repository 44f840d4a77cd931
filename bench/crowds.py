"""What claiming 100 jobs costs among 200 tenants, and beside batches whose jobs are held, on PostgreSQL."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from bench.figures import Figure, median
from bench.stored import AT_ONCE, TENANT, Stored, open_stored
from orchestrator.store import many_rows

CLAIMS = 200
TENANTS, READY = 200, 200_000
BATCH = 100_000
READY_BESIDE = 10_000


async def among_many_tenants(url: str) -> Figure:
    """Each with its thousand of the ready jobs, and nobody with a limit."""
    stored = await open_stored(url, tenants=[f"{number:032x}" for number in range(TENANTS)])
    await stored.add(READY)
    await stored.analyze()
    cost_ms = 1_000 * median([await stored.claim() for _ in range(CLAIMS)])
    note = f"{TENANTS} tenants, {READY:,} ready jobs"
    return Figure(f"claiming {AT_ONCE} among many tenants, PostgreSQL", cost_ms, " ms", at_most=15, note=note)


async def beside_batches(urls: list[str]) -> list[Figure]:
    """The three in turn, so that all meet the machine in the same mood."""
    states = (None, "paused", "receiving")
    none, paused, received = [await _with_batch(url, state) for url, state in zip(urls, states, strict=True)]
    costs = [(await none.claim(), await paused.claim(), await received.claim()) for _ in range(CLAIMS)]
    alone, *beside = (1_000 * median(times) for times in zip(*costs, strict=True))
    return [
        Figure(
            f"claiming {AT_ONCE} beside a {what} batch, PostgreSQL",
            cost / alone,
            " times",
            at_most=1.1,
            note=f"{cost:.2f} ms with its {BATCH:,} jobs held, {alone:.2f} ms with as many ended",
        )
        for what, cost in zip(("paused", "half received"), beside, strict=True)
    ]


async def _with_batch(url: str, state: str | None) -> Stored:
    """The batch is older than the jobs that are ready; without one, as many jobs have ended instead."""
    stored = await open_stored(url)
    if state is None:
        await stored.add(BATCH, phase="completed", finished_at=1)
    else:
        await stored.add(BATCH, phase="held", held_for="batch", batch_id=TENANT)
        await stored.database.write(partial(_insert_batch, state=state))
    await stored.add(READY_BESIDE)
    await stored.analyze()
    return stored


def _insert_batch(connection: Connection, *, state: str) -> None:
    batch = {
        "id": TENANT,
        "tenant_id": TENANT,
        "name": "bench",
        "mode": "atomic",
        "model": "wavespeed-ai/flux-dev",
        "state": state,
        "created_at": 1,
        "request_hash": "0" * 64,
        "created": BATCH,
    }
    many_rows.insert_many(connection, "batches", [batch])
