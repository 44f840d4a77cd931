"""Finds jobs by a filter, newest first, and never looks through more than some thousands at a time.

A page that found too few says where it stopped, so that whoever looks can let it go on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.ids import is_id
from orchestrator.job import Job
from orchestrator.store import dialect, looks, rows
from orchestrator.store.job_filter import JobFilter, Way, conditions, way_to

LOOKED_THROUGH = 10_000
"""So many jobs are looked at for one page, or for one step of an action."""
COUNTED = 1_000
"""So many jobs are counted for a page."""
SHOWN_CHARS = 2_000
_LIKE = {"postgresql": "ILIKE", "sqlite": "LIKE"}
_BY_TASK = (
    "jobs.id IN (SELECT job_id FROM attempts"
    " WHERE provider_id = :words AND account_id IN (SELECT id FROM accounts))"
)
_LEAST_HEAD = 8
_MOST_NAMED = 50


class Listed(msgspec.Struct, frozen=True):
    """A job of a page with the beginnings of its documents, which may be many megabytes."""

    job: Job
    tenant: str
    batch: str
    input: str
    ending: str


class Page(msgspec.Struct, frozen=True):
    """`next` is the place to go on from, empty at the end; `is_cut` when that many were looked through."""

    items: list[Listed]
    next: str = ""
    is_cut: bool = False


class Matching(msgspec.Struct, frozen=True):
    """The next ids of an action; `reached` is the place to go on from."""

    ids: list[str]
    reached: str
    is_over: bool


def read_page(
    connection: Connection, *, wanted: JobFilter, owner: str | None, before: str, most: int
) -> Page:
    """Newest first, `owner` None for all tenants; `before` continues a listing."""
    way = way_to(wanted, owner=owner)
    where, values = _where(connection, wanted, owner)
    if before:
        values["before"] = way.cursor(before)
    floor = _edge(connection, way, values, is_newest_first=True)
    found = _listed(
        connection,
        f"{way.condition} AND {where} AND {_between(way, values)} ORDER BY {way.order} DESC LIMIT :most",
        values | {"most": most + 1},
    )
    if len(found) > most:
        return Page(found[:most], _place(way, found[most - 1].job))
    return Page(found, "" if floor is None else str(floor), is_cut=floor is not None)


def read_named(
    connection: Connection, *, words: str, owner: str | None, most: int = _MOST_NAMED
) -> list[Listed]:
    """Jobs that `words` names without doubt: an id or its beginning, or the provider's id of a task."""
    owned = "" if owner is None else " AND jobs.tenant_id = :owner"
    named = [_BY_TASK]
    values: dict[str, Any] = {"words": words, "most": most} | ({} if owner is None else {"owner": owner})
    if _is_head(words):
        named.append("(jobs.id >= :words AND jobs.id < :beyond)")
        values["beyond"] = f"{words}g"
    found: dict[str, Listed] = {}
    for condition in named:
        more = _listed(connection, f"{condition}{owned} ORDER BY jobs.id DESC LIMIT :most", values)
        found |= {one.job.id: one for one in more}
    return list(found.values())


def read_listed(connection: Connection, *, ids: Sequence[str], owner: str | None) -> list[Listed]:
    """These jobs, those that are there and the owner's."""
    owned = "" if owner is None else " AND jobs.tenant_id = :owner"
    wanted = dialect.one_of(connection.dialect.name, "jobs.id")
    values: dict[str, Any] = {"ids": dialect.to_json(list(ids))}
    return _listed(connection, f"{wanted}{owned}", values | ({} if owner is None else {"owner": owner}))


def count_matching(connection: Connection, *, wanted: JobFilter, owner: str | None, up_to: str) -> int | None:
    """How many there are; None where there are too many to look through."""
    way = way_to(wanted, owner=owner)
    where, values = _where(connection, wanted, owner)
    if _edge(connection, way, values, is_newest_first=True) is not None:
        return None
    found = connection.execute(
        dialect.sql(
            f"SELECT count(*) FROM {_source(wanted)} WHERE {way.condition} AND {where} AND jobs.id <= :up_to"
        ),
        values | {"up_to": up_to},
    )
    return int(found.scalar_one())


def count_some(connection: Connection, *, wanted: JobFilter, owner: str | None) -> int | None:
    """How many there are, `COUNTED` + 1 where there are more; None where that takes too long a look."""
    if wanted.words:
        return None
    way = way_to(wanted, owner=owner)
    where, values = _where(connection, wanted, owner)
    floor = _edge(connection, way, values, is_newest_first=True)
    found = connection.execute(
        dialect.sql(
            f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {way.condition} AND {where}"
            f" AND {_between(way, values)} LIMIT :most) AS found"
        ),
        values | {"most": COUNTED + 1},
    )
    number = int(found.scalar_one())
    return number if floor is None or number > COUNTED else None


def read_matching(
    connection: Connection, *, wanted: JobFilter, owner: str | None, after: str, up_to: str, most: int
) -> Matching:
    """The next `most` of them, oldest first, none newer than `up_to`."""
    way = way_to(wanted, owner=owner)
    where, values = _where(connection, wanted, owner)
    values |= {"up_to": up_to} | ({"after": way.cursor(after)} if after else {})
    ceiling = _edge(connection, way, values, is_newest_first=False)
    found = connection.execute(
        dialect.sql(
            f"SELECT jobs.id, {way.order} FROM {_source(wanted)}"
            f" WHERE {way.condition} AND {where} AND {_between(way, values)} AND jobs.id <= :up_to"
            f" ORDER BY {way.order} LIMIT :most"
        ),
        values | {"most": most},
    ).all()
    ids = [row[0] for row in found]
    if len(ids) == most:
        return Matching(ids, str(found[-1][1]), is_over=False)
    return Matching(ids, after if ceiling is None else str(ceiling), is_over=ceiling is None)


def _source(wanted: JobFilter) -> str:
    """Documents are read only for words."""
    return "jobs JOIN documents d ON d.job_id = jobs.id" if wanted.words else "jobs"


def _where(connection: Connection, wanted: JobFilter, owner: str | None) -> tuple[str, dict[str, Any]]:
    return conditions(wanted, owner=owner, like=_LIKE[connection.dialect.name])


def _edge(
    connection: Connection, way: Way, values: dict[str, Any], *, is_newest_first: bool
) -> str | int | None:
    """Where this look ends, None where that is the end of all; then it is put into `values`."""
    edge: str | int | None = looks.edge(
        connection,
        rows=f"jobs WHERE {way.condition} AND {_between(way, values)}",
        order=way.order,
        values=values,
        most=LOOKED_THROUGH,
        is_newest_first=is_newest_first,
    )
    if edge is not None:
        values["floor" if is_newest_first else "ceiling"] = edge
    return edge


def _between(way: Way, values: dict[str, Any]) -> str:
    """The bounds that `values` has."""
    bounds = {
        "before": f"{way.order} < :before",
        "after": f"{way.order} > :after",
        "floor": f"{way.order} >= :floor",
        "ceiling": f"{way.order} <= :ceiling",
    }
    known = [words for name, words in bounds.items() if name in values]
    # What a filter says of times bounds the look, too.
    times = {"since": "jobs.id >= :since", "until": "jobs.id < :until"}
    return " AND ".join([*known, *(words for name, words in times.items() if name in values)]) or "1 = 1"


def _listed(connection: Connection, where: str, values: dict[str, Any]) -> list[Listed]:
    found = connection.execute(
        dialect.sql(
            f"SELECT {rows.JOB_COLUMNS}, t.name AS tenant, coalesce(b.name, '') AS batch,"
            f" substr(d.input, 1, {SHOWN_CHARS}) AS input, substr(d.ending, 1, {SHOWN_CHARS}) AS ending"
            " FROM jobs JOIN documents d ON d.job_id = jobs.id JOIN tenants t ON t.id = jobs.tenant_id"
            f" LEFT JOIN batches b ON b.id = jobs.batch_id WHERE {where}"
        ),
        values,
    )
    return [Listed(rows.to_job(row), row.tenant, row.batch, row.input, row.ending or "") for row in found]


def _place(way: Way, job: Job) -> str:
    return str(job.line) if way.order == "jobs.line" else job.id


def _is_head(words: str) -> bool:
    is_hex = all(letter in "0123456789abcdef" for letter in words)
    return is_id(words) or (_LEAST_HEAD <= len(words) < 32 and is_hex)
