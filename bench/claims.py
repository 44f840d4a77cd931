"""What claiming 100 jobs costs with a thousand and with a million jobs stored, on both databases."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import Connection, text

from bench.figures import Figure, median
from orchestrator.ids import first_id_at
from orchestrator.policy import Limits
from orchestrator.store import claims, dialect, lanes, schema
from orchestrator.store.database import Database, open_database
from tests.services.postgres import create_database, start_postgres

CLAIMS = 200
AT_ONCE = 100
FEW, MANY = 1_000, 1_000_000
READY_OF_FEW, READY_OF_MANY = 200, 100_000
_LANE = "bench/image"
_TENANT = "0" * 32
_INPUT = '{"prompt":"a lighthouse"}'
_START = 1_750_000_000_000
_NO_LIMITS = Limits(image_per_minute=1_000_000_000, video_per_minute=1, max_in_flight=1_000_000_000)


async def claiming() -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        few = await _stored(f"sqlite:///{folder}/few.db", FEW, READY_OF_FEW)
        many = await _stored(f"sqlite:///{folder}/many.db", MANY, READY_OF_MANY)
        figures.append(await _compare("SQLite", few, many))
    server = start_postgres()
    try:
        few_url, many_url = create_database(server.url), create_database(server.url)
        few = await _stored(few_url, FEW, READY_OF_FEW)
        many = await _stored(many_url, MANY, READY_OF_MANY)
        figures.append(await _compare("PostgreSQL", few, many))
        async with _old_transaction(few_url), _old_transaction(many_url):
            figures.append(await _compare("PostgreSQL, beside an old transaction", few, many))
    finally:
        server.stop()
    return figures


class _Stored:
    """A filled database; `next_number` is that of the next job to arrive."""

    def __init__(self, database: Database, stored: int) -> None:
        self.database = database
        self.next_number = stored

    async def claim(self) -> float:
        """How long one claim took. Then its jobs end and as many new ones arrive, as in real life."""
        started = time.perf_counter()
        claimed = await self.database.write(_claim)
        took = time.perf_counter() - started
        if len(claimed) != AT_ONCE:
            raise RuntimeError(f"only {len(claimed)} claimed")
        await self.database.write(_end_claimed)
        await self.database.write(partial(_insert, first=self.next_number, count=AT_ONCE, ready=AT_ONCE))
        self.next_number += AT_ONCE
        return took


async def _stored(url: str, stored: int, ready: int) -> _Stored:
    database = open_database(url)
    await database.write(schema.upgrade)
    await _fill(database, stored, ready)
    return _Stored(database, stored)


async def _compare(where: str, few: _Stored, many: _Stored) -> Figure:
    """The two in turn, so that both meet the machine in the same mood."""
    costs = [(await few.claim(), await many.claim()) for _ in range(CLAIMS)]
    small, large = median([cost[0] for cost in costs]), median([cost[1] for cost in costs])
    note = f"{large * 1_000:.2f} ms with {MANY:,} stored, {small * 1_000:.2f} ms with {FEW:,}"
    if many.database.dialect == "postgresql":
        note += f"; {await many.database.write(_buffers)} buffers"
    return Figure(f"claiming {AT_ONCE}, {where}", large / small, " times", at_most=1.5, note=note)


def _claim(connection: Connection) -> list[claims.Claim]:
    now = int(time.time() * 1_000)
    return claims.claim(connection, account_id="bench", owner="bench", slots=AT_ONCE, is_idle=False, now=now)


def _end_claimed(connection: Connection) -> None:
    now = int(time.time() * 1_000)
    connection.execute(
        text(
            "UPDATE jobs SET phase = 'completed', lease_owner = NULL, due_at = NULL, finished_at = :now"
            " WHERE phase = 'submitting'"
        ),
        {"now": now},
    )
    connection.execute(
        text("UPDATE attempts SET ended_at = :now, check_at = NULL WHERE ended_at IS NULL"), {"now": now}
    )


async def _fill(database: Database, stored: int, ready: int) -> None:
    now = int(time.time() * 1_000)
    await database.write(
        lambda c: lanes.ensure_account(c, account_id="bench", provider="bench", limits=_NO_LIMITS, now=now)
    )
    await database.write(_insert_tenant)
    for first in range(0, stored, 50_000):
        count = min(50_000, stored - first)
        ready_here = max(0, first + count - (stored - ready))
        await database.write(partial(_insert, first=first, count=count, ready=ready_here))
    await _analyze(database)


def _insert(connection: Connection, *, first: int, count: int, ready: int) -> None:
    """Jobs number `first` and on, a millisecond apart; the last `ready` of them are ready."""
    waiting_from = first + count - min(ready, count)
    rows = [_row(number, is_ready=number >= waiting_from) for number in range(first, first + count)]
    dialect.insert_many(connection, "jobs", rows)
    inputs = [{"job_id": row["id"], "input": _INPUT} for row in rows if row["phase"] == "ready"]
    dialect.insert_many(connection, "documents", inputs)


def _row(number: int, *, is_ready: bool) -> dict[str, Any]:
    at = _START + number
    return {
        "id": first_id_at(at),
        "tenant_id": _TENANT,
        "lane_id": _LANE,
        "model": "wavespeed-ai/flux-dev",
        "api_version": "v3",
        "media": "image",
        "priority": 0,
        "phase": "ready" if is_ready else "completed",
        "created_at": at,
        "input_hash": "0" * 32,
        "finished_at": None if is_ready else at,
    }


def _insert_tenant(connection: Connection) -> None:
    connection.execute(
        text("INSERT INTO tenants (id, name, created_at) VALUES (:id, 'bench', 0) ON CONFLICT DO NOTHING"),
        {"id": _TENANT},
    )
    lanes.open_shares(connection, [(_LANE, _TENANT, 0)])


async def _analyze(database: Database) -> None:
    await database.write(lambda c: c.execute(text("ANALYZE")))


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
        text("SELECT ready_from FROM shares WHERE lane_id = :lane"), {"lane": _LANE}
    ).scalar_one()
    plan = connection.execute(
        text(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT id FROM jobs"
            " WHERE lane_id = :lane AND tenant_id = :tenant AND priority = 0"
            " AND phase = 'ready' AND id >= :start ORDER BY id LIMIT 100"
        ),
        {"lane": _LANE, "tenant": _TENANT, "start": start},
    ).scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
