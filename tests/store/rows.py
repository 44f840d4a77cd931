"""What the store's tests read and count behind the store's back, and the rows that they start from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from orchestrator import tables
from orchestrator.job import Attempt, Job
from orchestrator.store import lanes
from orchestrator.store import rows as stored
from orchestrator.store.lanes import Lane
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, LIMITS, T0, TENANT, add_tenant


def empty(connection: Connection) -> None:
    for table in reversed(tables.metadata.sorted_tables):
        connection.execute(table.delete())


def fill(connection: Connection) -> None:
    """One account with its lanes, and one tenant."""
    lanes.ensure_account(connection, account_id=ACCOUNT, provider="wavespeed", limits=LIMITS, now=T0)
    add_tenant(connection, tenant_id=TENANT)


async def select(store: Store, statement: str, **values: Any) -> list[Any]:
    """Rows of a question that no function of the store answers."""
    return await store.read(_select, statement=statement, values=values)


async def execute(store: Store, statement: str, **values: Any) -> None:
    await store.write(_execute, statement=statement, values=values)


async def count(store: Store, table: str) -> int:
    return int((await select(store, f"SELECT count(*) FROM {table}"))[0][0])


async def counts(store: Store) -> dict[str, int]:
    """How many rows a job's tables hold: to see that they changed together or not at all."""
    names = ("jobs", "documents", "attempts", "events", "deliveries", "callbacks", "idempotency_keys")
    return {name: await count(store, name) for name in names}


async def job_of(store: Store, job_id: str) -> Job:
    return (await store.read(stored.read_jobs, ids=[job_id]))[job_id]


async def attempt_of(store: Store, job_id: str, number: int = 1) -> Attempt:
    return (await store.read(stored.read_attempts, keys=[(job_id, number)]))[job_id, number]


async def lane_of(store: Store, lane_id: str = IMAGE_LANE) -> Lane:
    return next(lane for lane in await store.read(lanes.read_lanes) if lane.id == lane_id)


def _select(connection: Connection, *, statement: str, values: dict[str, Any]) -> list[Any]:
    return list(connection.execute(text(statement), values).all())


def _execute(connection: Connection, *, statement: str, values: dict[str, Any]) -> None:
    connection.execute(text(statement), values)
