"""What an operator orders of lanes and accounts: a pause, another limit. It counts from the next claim on,
survives restarts, and wins over the settings until it is taken back.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.store import dialect
from orchestrator.store.lanes import POLLS

FOREVER = 1 << 62
"""A pause until somebody ends it."""


def stop_lane(connection: Connection, *, lane: str, until: int, because: str) -> bool:
    """Claim nothing of it until then. False when there is no such lane."""
    return _change_lane(
        connection,
        "stopped_until = :until, stop_reason = :because",
        lane,
        {"until": until, "because": because},
    )


def resume_lane(connection: Connection, *, lane: str) -> bool:
    """End an operator's pause; what the provider asked for stays. False when there is no such lane."""
    return _change_lane(connection, "stopped_until = 0, stop_reason = NULL", lane, {})


def set_rate(connection: Connection, *, lane: str, per_minute: int, is_fixed: bool) -> bool:
    """`is_fixed` keeps the settings from changing it. False when there is no such lane."""
    return _change_lane(
        connection,
        # Nobody gets a burst by being given more, nor keeps one that is no longer his.
        "per_minute = :per_minute, is_fixed = :is_fixed,"
        " tokens = CASE WHEN tokens < :burst THEN tokens ELSE :burst END",
        lane,
        {"per_minute": per_minute, "is_fixed": is_fixed, "burst": policy.burst(per_minute)},
    )


def set_slots(connection: Connection, *, account: str, max_in_flight: int, is_fixed: bool) -> bool:
    """`is_fixed` keeps the settings from changing it. False when there is no such account."""
    changed = connection.execute(
        dialect.sql("UPDATE accounts SET max_in_flight = :most, is_fixed = :is_fixed WHERE id = :id"),
        {"id": account, "most": max_in_flight, "is_fixed": is_fixed},
    )
    return changed.rowcount == 1


def _change_lane(connection: Connection, changes: str, lane: str, values: dict[str, Any]) -> bool:
    """The lane of polls is not a person's to stop: lost callbacks are found by polls alone."""
    changed = connection.execute(
        dialect.sql(f"UPDATE lanes SET {changes} WHERE id = :lane AND media <> '{POLLS}'"),
        {"lane": lane} | values,
    )
    return changed.rowcount == 1
