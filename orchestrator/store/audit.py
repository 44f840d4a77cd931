"""A change and the line that says who made it, in one transaction: both are there or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, keys

T = TypeVar("T")


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Who does what to which object; `tenant_id` is the actor's own."""

    tenant_id: str
    actor: str
    action: str
    subject: str


class Line(msgspec.Struct, frozen=True):
    """What somebody did."""

    at: int
    actor: str
    action: str


def lines_about(connection: Connection, *, subject: str, most: int) -> list[Line]:
    """What was done to this object, the newest `most`; the caller has made sure whose it is."""
    found = connection.execute(
        dialect.sql(
            "SELECT at, actor, action FROM audit WHERE object = :object ORDER BY id DESC LIMIT :most"
        ),
        {"object": subject, "most": most},
    )
    return [Line(*row) for row in found]


def audited(
    connection: Connection, *, act: Act, now: int, do: Callable[..., T], arguments: Mapping[str, Any]
) -> T:
    """What `do` answers. Where it found nothing (None, False) or refused (an Enum), no line is written."""
    done = do(connection, **arguments)
    if is_done(done):
        keys.record_audit(connection, now=now, **msgspec.structs.asdict(act))
    return done


def is_done(answered: object) -> bool:
    """Whether a function that was asked to do something has done it."""
    return bool(answered) and not isinstance(answered, Enum)
