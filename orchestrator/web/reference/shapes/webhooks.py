"""What webhooks are told besides what a GET answers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from orchestrator.web.reference.shapes.batches import BatchUrls, Failure
from orchestrator.web.reference.shapes.words import Count, Id


class EndedBatch(Struct):
    id: Id
    name: str
    state: Literal["completed", "cancelled"]
    created_at: str
    finished_at: str
    total: Count
    counts: dict[str, int]
    failures: list[Failure]
    urls: BatchUrls


class BatchEnd(Struct):
    """What the webhook of a batch is told."""

    type: Literal["batch.completed"]
    timestamp: str
    data: EndedBatch
