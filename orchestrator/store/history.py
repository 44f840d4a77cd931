"""The history of a tenant's jobs, newest first: a page at a time, by model, state and time."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.ids import first_id_at
from orchestrator.store import dialect, looks
from orchestrator.store.looks import Look
from orchestrator.store.views import STATES, Found, documented, to_found

_LOOKED_THROUGH = 10_000
_OPEN = "jobs WHERE jobs.tenant_id = :tenant AND jobs.finished_at IS NULL"


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is public; times in ms; `before_id` continues a listing, `skip` leaves out that many."""

    skip: int = 0
    before_id: str | None = None
    page_size: int = 20
    model: str | None = None
    state: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    with_input: bool = False


def list_jobs(connection: Connection, *, tenant_id: str, wanted: HistoryFilter) -> Look[Found, HistoryFilter]:
    """No index leads to a model or a state: those are looked for among the tenant's jobs; and what has not
    ended, where that is few, among these alone when it is not among the newest.
    """
    if wanted.state is not None and wanted.state not in STATES:
        return Look([])
    floor = None
    if wanted.state is not None or wanted.model is not None:
        within, values = _within(tenant_id, wanted)
        floor = looks.edge(
            connection, rows=f"jobs WHERE {within}", order="jobs.id", values=values, most=_LOOKED_THROUGH
        )
    found = _select(connection, tenant_id, wanted, floor=floor)
    missing = wanted.page_size - len(found)
    if floor is None or not missing:
        return Look(found)
    skip = 0 if found or not wanted.skip else wanted.skip - _count(connection, tenant_id, wanted, floor)
    rest = msgspec.structs.replace(wanted, before_id=floor, page_size=missing, skip=skip)
    if wanted.state in ("created", "processing") and _has_few_open(connection, tenant_id):
        few = f"(SELECT * FROM {_OPEN} LIMIT {_LOOKED_THROUGH}) AS jobs"
        return Look(found + _select(connection, tenant_id, rest, source=few))
    return Look(found, rest)


def _select(
    connection: Connection,
    tenant_id: str,
    wanted: HistoryFilter,
    *,
    source: str = "jobs",
    floor: str | None = None,
) -> list[Found]:
    where, values = _where(tenant_id, wanted, floor)
    selected = connection.execute(
        dialect.sql(
            f"{documented(with_input=wanted.with_input, source=source)} WHERE {where}"
            " ORDER BY jobs.id DESC LIMIT :most OFFSET :skip"
        ),
        values | {"most": wanted.page_size, "skip": wanted.skip},
    )
    return [to_found(row) for row in selected]


def _count(connection: Connection, tenant_id: str, wanted: HistoryFilter, floor: str) -> int:
    where, values = _where(tenant_id, wanted, floor)
    found = connection.execute(dialect.sql(f"SELECT count(*) FROM jobs WHERE {where}"), values)
    return int(found.scalar_one())


def _has_few_open(connection: Connection, tenant_id: str) -> bool:
    found = connection.execute(
        dialect.sql(f"SELECT count(*) FROM (SELECT 1 FROM {_OPEN} LIMIT {_LOOKED_THROUGH + 1}) AS few"),
        {"tenant": tenant_id},
    )
    return int(found.scalar_one()) <= _LOOKED_THROUGH


def _where(tenant_id: str, wanted: HistoryFilter, floor: str | None) -> tuple[str, dict[str, Any]]:
    within, values = _within(tenant_id, wanted)
    conditions = [within]
    if floor is not None:
        conditions.append("jobs.id >= :floor")
        values["floor"] = floor
    if wanted.model is not None:
        conditions.append("jobs.model = :model")
        values["model"] = wanted.model
    if wanted.state is not None:
        conditions.append(STATES[wanted.state])
    return " AND ".join(conditions), values


def _within(tenant_id: str, wanted: HistoryFilter) -> tuple[str, dict[str, Any]]:
    """What the index of a tenant's jobs answers."""
    conditions = ["jobs.tenant_id = :tenant"]
    values: dict[str, Any] = {"tenant": tenant_id}
    if wanted.created_after is not None:
        conditions.append("jobs.id >= :after")
        values["after"] = first_id_at(wanted.created_after)
    if wanted.created_before is not None:
        conditions.append("jobs.id < :before")
        values["before"] = first_id_at(wanted.created_before)
    if wanted.before_id is not None:
        conditions.append("jobs.id < :before_id")
        values["before_id"] = wanted.before_id
    return " AND ".join(conditions), values
