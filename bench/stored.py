"""Databases filled with jobs, and what claiming a hundred of them takes: for the figures of claims."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, text

from orchestrator.ids import first_id_at
from orchestrator.policy import Limits
from orchestrator.store import claims, lanes, many_rows, schema
from orchestrator.store.claims import Claim
from orchestrator.store.database import Database, open_database

AT_ONCE = 100
LANE = "bench/image"
TENANT = "0" * 32
_INPUT = '{"prompt":"a lighthouse"}'
_START = 1_750_000_000_000
_IN_ONE_TRANSACTION = 50_000
_NO_LIMITS = Limits(image_per_minute=1_000_000_000, video_per_minute=1, max_in_flight=1_000_000_000)


class Stored:
    """A filled database; `next_number` is that of the next job to arrive, tenants get theirs in turn."""

    def __init__(self, database: Database, *, tenants: Sequence[str]) -> None:
        self.database = database
        self.next_number = 0
        self._tenants = tenants

    async def claim(self) -> float:
        """How long one claim took. Then its jobs end and as many new ones arrive, as in real life."""
        started = time.perf_counter()
        claimed = await self.database.write(_claim)
        took = time.perf_counter() - started
        if len(claimed) != AT_ONCE:
            raise RuntimeError(f"only {len(claimed)} claimed")
        await self.database.write(_end_claimed)
        await self.add(AT_ONCE)
        return took

    async def add(self, count: int, **changes: Any) -> None:
        """So many more jobs, a millisecond apart; ready unless `changes` says otherwise."""
        for first in range(0, count, _IN_ONE_TRANSACTION):
            numbers = range(self.next_number, self.next_number + min(_IN_ONE_TRANSACTION, count - first))
            rows = [self._row(number, **changes) for number in numbers]
            await self.database.write(partial(_insert, rows=rows))
            self.next_number = numbers.stop

    async def analyze(self) -> None:
        await self.database.write(lambda c: c.execute(text("ANALYZE")))

    def _row(self, number: int, **changes: Any) -> dict[str, Any]:
        at = _START + number
        needed = {
            "id": first_id_at(at),
            "tenant_id": self._tenants[number % len(self._tenants)],
            "lane_id": LANE,
            "model": "wavespeed-ai/flux-dev",
            "api_version": "v3",
            "media": "image",
            "priority": 0,
            "phase": "ready",
            "created_at": at,
            "input_hash": "0" * 32,
        }
        # A batch's jobs stand in lines of their own.
        return needed | changes | ({"line": number} if "batch_id" in changes else {})


async def open_stored(url: str, *, tenants: Sequence[str] = (TENANT,)) -> Stored:
    """An empty database with the schema, one lane without limits, and these tenants."""
    database = open_database(url)
    await database.write(schema.upgrade)
    now = int(time.time() * 1_000)
    await database.write(
        lambda c: lanes.ensure_account(c, account_id="bench", provider="bench", limits=_NO_LIMITS, now=now)
    )
    await database.write(partial(_insert_tenants, tenants=tenants))
    return Stored(database, tenants=tenants)


def _claim(connection: Connection) -> list[Claim]:
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


def _insert(connection: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    many_rows.insert_many(connection, "jobs", rows)
    inputs = [{"job_id": row["id"], "input": _INPUT} for row in rows if row["phase"] == "ready"]
    many_rows.insert_many(connection, "documents", inputs)


def _insert_tenants(connection: Connection, *, tenants: Sequence[str]) -> None:
    rows = [{"id": tenant, "name": tenant, "created_at": 0} for tenant in tenants]
    many_rows.insert_many(connection, "tenants", rows)
    lanes.open_shares(connection, [(LANE, tenant, 0) for tenant in tenants])
