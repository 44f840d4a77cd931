"""What claiming 100 jobs costs with a thousand and with a million jobs stored, on both databases."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import Connection, text

from bench import crowds
from bench.figures import Figure, median
from bench.stored import AT_ONCE, LANE, TENANT, Stored, open_stored
from tests.services.postgres import create_database, start_postgres

CLAIMS = 200
CLAIMS_BEFORE = 1_000
FEW, MANY = 1_000, 1_000_000
READY_OF_FEW, READY_OF_MANY = 200, 100_000
_FINISHED = {"phase": "completed", "finished_at": 1}


async def claiming() -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        few = await _stored(f"sqlite:///{folder}/few.db", FEW, READY_OF_FEW)
        many = await _stored(f"sqlite:///{folder}/many.db", MANY, READY_OF_MANY)
        figures.append(await _compare("SQLite", few, many))
    server = start_postgres()
    try:
        few = await _stored(create_database(server.url), FEW, READY_OF_FEW)
        many = await _stored(create_database(server.url), MANY, READY_OF_MANY)
        figures.append(await _compare("PostgreSQL", few, many))
        figures.append(
            await _beside_old_transaction(create_database(server.url), create_database(server.url))
        )
        figures.append(await crowds.among_many_tenants(create_database(server.url)))
        figures += await crowds.beside_batches([create_database(server.url) for _ in range(3)])
    finally:
        server.stop()
    return figures


async def _stored(url: str, stored: int, ready: int) -> Stored:
    """The last jobs to arrive are ready."""
    opened = await open_stored(url)
    await opened.add(stored - ready, **_FINISHED)
    await opened.add(ready)
    await opened.analyze()
    return opened


async def _compare(where: str, few: Stored, many: Stored) -> Figure:
    """The two in turn, so that both meet the machine in the same mood."""
    costs = [(await few.claim(), await many.claim()) for _ in range(CLAIMS)]
    small, large = median([cost[0] for cost in costs]), median([cost[1] for cost in costs])
    note = f"{large * 1_000:.2f} ms with {MANY:,} stored, {small * 1_000:.2f} ms with {FEW:,}"
    if many.database.dialect == "postgresql":
        note += f"; {await many.database.write(_buffers)} buffers"
    return Figure(f"claiming {AT_ONCE}, {where}", large / small, " times", at_most=1.5, note=note)


async def _beside_old_transaction(few_url: str, many_url: str) -> Figure:
    """A thousand jobs stored without such a transaction against a million beside it, after both lived through
    the same claims and were cleaned, which the transaction keeps the larger from.
    """
    few = await _stored(few_url, FEW, READY_OF_FEW)
    many = await _stored(many_url, MANY, READY_OF_MANY)
    async with _old_transaction(many_url):
        for _ in range(CLAIMS_BEFORE):
            await few.claim()
            await many.claim()
        await _clean(few_url)
        await _clean(many_url)
        costs = [(await few.claim(), await many.claim()) for _ in range(CLAIMS)]
    small, large = (1_000 * median(times) for times in zip(*costs, strict=True))
    claimed = CLAIMS_BEFORE * AT_ONCE
    note = f"{large:.2f} ms, {claimed:,} jobs after it was opened; {small:.2f} ms with {FEW:,} and without it"
    what = f"claiming {AT_ONCE} beside an old transaction, PostgreSQL"
    return Figure(what, large / small, " times", at_most=1.5, note=note)


async def _clean(url: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@asynccontextmanager
async def _old_transaction(url: str) -> AsyncIterator[None]:
    """A transaction that has written and stays open: nothing that dies after it can be cleaned away."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await connection.execute("SELECT txid_current(), count(*) FROM tenants")
    try:
        yield
    finally:
        await connection.close()


def _buffers(connection: Connection) -> int:
    """Pages touched by the one query of a claim that looks for ready jobs."""
    start = connection.execute(
        text("SELECT ready_from FROM shares WHERE lane_id = :lane"), {"lane": LANE}
    ).scalar_one()
    plan = connection.execute(
        text(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT id FROM jobs"
            " WHERE lane_id = :lane AND tenant_id = :tenant AND priority = 0"
            " AND phase = 'ready' AND id >= :start ORDER BY id LIMIT 100"
        ),
        {"lane": LANE, "tenant": TENANT, "start": start},
    ).scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
