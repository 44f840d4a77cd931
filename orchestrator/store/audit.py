"""A change and the line that says who made it, in one transaction: both are there or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from orchestrator.store import keys

T = TypeVar("T")


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Who does what to which object; `tenant_id` is the actor's own."""

    tenant_id: str
    actor: str
    action: str
    subject: str


def audited(
    connection: Connection, *, act: Act, now: int, do: Callable[..., T], arguments: Mapping[str, Any]
) -> T:
    """What `do` answers. Where it found nothing (None, False) or refused (an Enum), no line is written."""
    done = do(connection, **arguments)
    if done and not isinstance(done, Enum):
        keys.record_audit(connection, now=now, **msgspec.structs.asdict(act))
    return done
