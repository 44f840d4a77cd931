"""Orders to do something to many jobs, kept as rows: given, read, listed, stopped.

What happens to the jobs happens in steps (`action_steps`).
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.ids import first_id_at
from orchestrator.store import dialect, many_rows
from orchestrator.store.job_filter import JobFilter

MOST_IDS = 1_000
VERBS = ("redrive", "cancel", "dismiss", "delete")


class Matched(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which jobs: exactly these, or all that the filter matches."""

    ids: tuple[str, ...] = ()
    filter: JobFilter | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """The row. `owner_id` None may touch every tenant's jobs; `expected` None was too many to count."""

    id: str
    tenant_id: str
    owner_id: str | None
    actor: str
    verb: str
    matched: Matched
    up_to: str
    created_at: int
    due_at: int | None
    per_minute: int | None = None
    expected: int | None = None
    place: str = ""
    done: int = 0
    refused: int = 0
    state: str = "running"
    finished_at: int | None = None


_COLUMNS = ", ".join(Action.__struct_fields__)
_MATCHED = Action.__struct_fields__.index("matched")


def insert(connection: Connection, *, action: Action) -> Action:
    row = msgspec.structs.asdict(action) | {"matched": dialect.to_json(action.matched)}
    many_rows.insert_many(connection, "actions", [row])
    return action


def find(connection: Connection, *, tenant_id: str | None, action_id: str) -> Action | None:
    """None for an unknown id and for another tenant's; with None as the tenant, whoever's it is."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"SELECT {_COLUMNS} FROM actions WHERE id = :id{owned}"),
        {"id": action_id, "tenant": tenant_id},
    ).first()
    return None if found is None else _to_action(found)


def newest(connection: Connection, *, tenant_id: str | None, before: str, most: int) -> list[Action]:
    """Newest first; `before` is the last id of a page, or empty."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    cursor = " AND id < :before" if before else ""
    found = connection.execute(
        dialect.sql(
            f"SELECT {_COLUMNS} FROM actions WHERE 1 = 1{owned}{cursor} ORDER BY id DESC LIMIT :most"
        ),
        {"tenant": tenant_id, "before": before, "most": most},
    )
    return [_to_action(row) for row in found]


def running(connection: Connection, *, tenant_id: str | None, most: int) -> list[Action]:
    """Those under way, that due first first."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(
            f"SELECT {_COLUMNS} FROM actions WHERE due_at IS NOT NULL{owned} ORDER BY due_at LIMIT :most"
        ),
        {"tenant": tenant_id, "most": most},
    )
    return [_to_action(row) for row in found]


def due(connection: Connection, *, now: int, most: int) -> list[Action]:
    """Those whose next step may be done now."""
    found = connection.execute(
        dialect.sql(f"SELECT {_COLUMNS} FROM actions WHERE due_at <= :now ORDER BY due_at LIMIT :most"),
        {"now": now, "most": most},
    )
    return [_to_action(row) for row in found]


def stop(connection: Connection, *, action_id: str, now: int) -> bool:
    """False unless it is running."""
    stopped = connection.execute(
        dialect.sql(
            "UPDATE actions SET state = 'stopped', due_at = NULL, finished_at = :now"
            " WHERE id = :id AND state = 'running'"
        ),
        {"id": action_id, "now": now},
    )
    return stopped.rowcount > 0


def delete_old(connection: Connection, *, ended_before: int) -> None:
    connection.execute(
        dialect.sql("DELETE FROM actions WHERE id < :before AND finished_at < :ended"),
        {"before": first_id_at(ended_before), "ended": ended_before},
    )


def _to_action(row: Any) -> Action:
    values = list(row)
    values[_MATCHED] = msgspec.json.decode(values[_MATCHED], type=Matched)
    return Action(**dict(zip(Action.__struct_fields__, values, strict=True)))
