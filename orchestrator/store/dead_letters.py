"""Dead letters by their kind: failed jobs that nobody cancelled, dismissed or redrove, grouped."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.job import Ending
from orchestrator.store import dialect

COUNTED = 5_000
"""Groups are made of so many of the newest dead letters."""


class Group(msgspec.Struct, frozen=True):
    """Dead letters that one action would mend; `first_at` and `last_at` are ends, `job_id` is the newest."""

    fingerprint: str
    reason: str
    count: int
    first_at: int
    last_at: int
    job_id: str
    models: dict[str, int]
    message: str = ""


class Groups(msgspec.Struct, frozen=True):
    """The largest first; `is_cut` when there are more than were counted."""

    groups: list[Group]
    is_cut: bool


def read_groups(connection: Connection, *, owner: str | None) -> Groups:
    """`owner` None for all tenants."""
    owned = "" if owner is None else " AND tenant_id = :owner"
    newest = (
        "SELECT id, fingerprint, reason, model, finished_at FROM jobs WHERE phase = 'failed'"
        f" AND reason <> 'cancelled' AND dismissed_at IS NULL{owned} ORDER BY id DESC LIMIT {COUNTED}"
    )
    found = connection.execute(
        dialect.sql(
            "SELECT fingerprint, reason, model, count(*), min(finished_at), max(finished_at), max(id)"
            f" FROM ({newest}) AS newest GROUP BY fingerprint, reason, model"
        ),
        {} if owner is None else {"owner": owner},
    )
    groups: dict[str, Group] = {}
    for fingerprint, reason, model, count, first_at, last_at, job_id in found:
        one = Group(fingerprint or "", reason, count, first_at, last_at, job_id, {model: count})
        known = groups.get(one.fingerprint)
        groups[one.fingerprint] = one if known is None else _merged(known, one)
    messages = _messages(connection, [one.job_id for one in groups.values()])
    return Groups(
        sorted(
            (msgspec.structs.replace(one, message=messages.get(one.job_id, "")) for one in groups.values()),
            key=lambda one: (-one.count, one.fingerprint),
        ),
        is_cut=sum(one.count for one in groups.values()) == COUNTED,
    )


def _merged(one: Group, other: Group) -> Group:
    return Group(
        one.fingerprint,
        one.reason,
        one.count + other.count,
        min(one.first_at, other.first_at),
        max(one.last_at, other.last_at),
        max(one.job_id, other.job_id),
        one.models | other.models,
    )


def _messages(connection: Connection, ids: list[str]) -> dict[str, str]:
    """What these jobs ended with, in words."""
    wanted = dialect.one_of(connection.dialect.name, "job_id")
    found = connection.execute(
        dialect.sql(f"SELECT job_id, ending FROM documents WHERE {wanted} AND ending IS NOT NULL"),
        {"ids": dialect.to_json(ids)},
    )
    endings = {row[0]: msgspec.json.decode(row[1], type=Ending) for row in found}
    return {job_id: one.error.message for job_id, one in endings.items() if one.error is not None}
