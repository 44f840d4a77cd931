"""When a job may be sent, and when it is too late: read from a query or from a line of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.clock import from_rfc3339
from orchestrator.errors import InvalidInput

INTERACTIVE, BULK = 3, 6
"""Where a job of its own and a job of a batch stand unless somebody says otherwise."""
LAST = 9

_LAST_TIME = from_rfc3339("9999-01-01T00:00:00Z")

FIELDS = ("priority", "not_before", "start_by", "finish_by")
_FIELDS = frozenset(FIELDS)


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """`priority` 0 goes first, 9 last; times in ms, None where there is no such limit."""

    priority: int = INTERACTIVE
    not_before: int | None = None
    start_by: int | None = None
    finish_by: int | None = None


def read_schedule(given: Mapping[str, Any], otherwise: Schedule) -> Schedule:
    """`otherwise` with what is given. Raises InvalidInput.

    A time that has passed is no error: a request that is sent again must mean what it meant before.
    """
    if _FIELDS.isdisjoint(given):
        return otherwise
    schedule = Schedule(
        priority=_priority(given.get("priority"), otherwise.priority),
        not_before=read_time(given, "not_before", otherwise.not_before),
        start_by=read_time(given, "start_by", otherwise.start_by),
        finish_by=read_time(given, "finish_by", otherwise.finish_by),
    )
    for name, limit in (("start_by", schedule.start_by), ("finish_by", schedule.finish_by)):
        if limit is not None and schedule.not_before is not None and limit <= schedule.not_before:
            raise InvalidInput(name, "must be later than not_before")
    return schedule


def _priority(given: Any, otherwise: int) -> int:
    if given is None:
        return otherwise
    if isinstance(given, str) and given.isdecimal() and len(given) == 1:
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= LAST:
        raise InvalidInput("priority", f"must be a whole number from 0 (first) to {LAST} (last)")
    return given


def read_time(given: Mapping[str, Any], name: str, otherwise: int | None = None) -> int | None:
    """A time in ms. Raises InvalidInput."""
    text = given.get(name)
    if text is None:
        return otherwise
    try:
        # A `+` that came unquoted in a URL stands for a space there.
        at = from_rfc3339(str(text).replace(" ", "+") if "T" in str(text) else str(text))
    except (ValueError, OverflowError):
        at = -1
    # What cannot be shown again in UTC is no time either.
    if not isinstance(text, str) or not 0 <= at < _LAST_TIME:
        raise InvalidInput(name, "must be a time such as 2026-01-02T03:04:05Z")
    return at
