"""Orders for many jobs at once, and how they get on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from orchestrator.web.reference.shapes.words import Count, Id


class Action(Struct, kw_only=True):
    id: Id
    verb: Literal["redrive", "cancel", "dismiss", "delete"]
    state: Literal["running", "stopped", "finished"]
    actor: str
    ids: Annotated[int, Meta(ge=0, description="How many jobs were named.")]
    filter: Annotated[dict[str, Any] | None, Meta(description="As it was given; null where jobs were named.")]
    per_minute: int | None
    expected: Annotated[int | None, Meta(description="null where there were too many to count.")]
    done: Count
    refused: Annotated[int, Meta(ge=0, description="Jobs whose state did not allow it.")]
    created_at: str
    finished_at: str


class Actions(Struct):
    items: list[Action]


class DryAction(Struct):
    """How many jobs it would touch."""

    dry_run: Literal[True]
    expected: int | None
