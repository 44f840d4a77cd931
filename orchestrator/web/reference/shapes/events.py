"""What the streams of events say."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from orchestrator.job import Phase
from orchestrator.lifecycle import Verb
from orchestrator.web.reference.shapes.words import Count, Id, NoId

_PHASES = ["", *map(str, Phase)]
_MOVES = [*map(str, Verb), "finish"]


class Reset(Struct):
    """The log does not reach back to where the client was."""

    because: str


class StreamedEvent(Struct, kw_only=True):
    id: Annotated[Id, Meta(description="Of the job, or of the batch that has ended.")]
    batch: NoId
    status: Annotated[
        Literal["created", "processing", "completed", "failed", "cancelled"],
        Meta(description="The public state from then on; only a batch is cancelled."),
    ]
    phase: Annotated[
        str,
        Meta(
            description="The phase of the job from then on; empty for a batch.",
            extra_json_schema={"enum": _PHASES},
        ),
    ]
    move: Annotated[
        str,
        Meta(description="What was done; `finish` ends a batch.", extra_json_schema={"enum": _MOVES}),
    ]
    attempt: Count
    because: str
    at: str
