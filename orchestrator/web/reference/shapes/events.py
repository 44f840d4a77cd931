"""What the streams of events say."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from orchestrator.web.reference.shapes.words import Count, NoId


class Reset(Struct):
    """The log does not reach back to where the client was."""

    because: str


class StreamedEvent(Struct, kw_only=True):
    id: Annotated[str, Meta(description="Of the job, or of the batch that has ended.")]
    batch: NoId
    status: Annotated[str, Meta(description="The public state from then on.")]
    phase: Annotated[str, Meta(description="The phase of the job from then on; empty for a batch.")]
    move: Annotated[str, Meta(description="What was done.")]
    attempt: Count
    because: str
    at: str
