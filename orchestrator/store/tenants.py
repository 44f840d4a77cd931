"""Tenants: who shares the account, in what proportion, and within which limits of their own.

What the limits do stands in `quotas`; null is none, and then only the account's own count.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection

from orchestrator.ids import new_id
from orchestrator.store import dialect


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """`keys` counts those that are not revoked, `waiting` the jobs that are ready or back off."""

    name: str
    weight: float
    max_in_flight: int | None
    max_queued: int | None
    keys: int
    waiting: int


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator sets of a tenant: as many jobs at the provider and as many stored that have not
    ended. What is unset stays as it is, or is the default of a new tenant.
    """

    weight: float | UnsetType = UNSET
    max_in_flight: int | UnsetType | None = UNSET
    max_queued: int | UnsetType | None = UNSET


def list_tenants(connection: Connection) -> list[Tenant]:
    """By name."""
    found = connection.execute(
        dialect.sql(
            "SELECT t.name, t.weight, t.max_in_flight, t.max_queued,"
            " (SELECT count(*) FROM api_keys k WHERE k.tenant_id = t.id AND k.revoked_at IS NULL) AS keys,"
            " (SELECT count(*) FROM jobs j WHERE j.tenant_id = t.id AND j.finished_at IS NULL"
            " AND j.phase IN ('ready', 'waiting')) AS waiting"
            " FROM tenants t ORDER BY t.name"
        )
    )
    return [Tenant(**row) for row in found.mappings()]


def names(connection: Connection) -> dict[str, str]:
    """The tenants' names by their ids, in the order of the names."""
    found = connection.execute(dialect.sql("SELECT id, name FROM tenants ORDER BY name"))
    return {row[0]: row[1] for row in found}


def add_tenant(connection: Connection, *, name: str, terms: Terms, now: int) -> bool:
    """False when there is one of this name already."""
    row = {"id": new_id(now), "name": name, "created_at": now} | msgspec.to_builtins(terms)
    added = connection.execute(
        dialect.sql(
            f"INSERT INTO tenants ({', '.join(row)}) VALUES ({', '.join(f':{column}' for column in row)})"
            " ON CONFLICT (name) DO NOTHING"
        ),
        row,
    )
    return added.rowcount == 1


def change_tenant(connection: Connection, *, name: str, terms: Terms) -> bool:
    """Counts from the next claim and the next submission on. False when there is no such tenant.

    `terms` must set something.
    """
    changes = msgspec.to_builtins(terms)
    changed = connection.execute(
        dialect.sql(
            f"UPDATE tenants SET {', '.join(f'{column} = :{column}' for column in changes)}"
            " WHERE name = :name"
        ),
        changes | {"name": name},
    )
    return changed.rowcount == 1
