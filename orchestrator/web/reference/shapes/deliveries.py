"""What webhooks were told, and what they answered."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from orchestrator.web.reference.shapes.words import Count, NoId


class DeliverySummary(Struct, kw_only=True):
    """What one of your webhooks is told."""

    id: str
    job: NoId
    batch: NoId
    endpoint: Annotated[NoId, Meta(description="The standing endpoint that it goes to.")]
    event: Annotated[str, Meta(description="What it tells of, such as `job.completed`.")]
    url: Annotated[str, Meta(description="Without what may hold a secret.")]
    state: Literal["pending", "delivered", "dead"]
    failures: Count
    attempted: Count
    last_status: int | None
    last_error: str
    because: Annotated[str, Meta(description="Why it died or was put off, besides what was answered.")]
    created_at: str
    due_at: str
    finished_at: str


class DeliveryAttempt(Struct):
    number: Annotated[int, Meta(ge=1)]
    at: str
    latency_ms: Count
    status: int | None
    error: str
    answer: Annotated[str, Meta(description="The beginning of what your server said.")]


class Delivery(DeliverySummary, kw_only=True):
    attempts: list[DeliveryAttempt]


class Deliveries(Struct):
    items: list[DeliverySummary]


class Redelivered(Struct):
    dry_run: bool
    count: Annotated[int, Meta(ge=0, description="In a replay only what the first one left, mostly 0.")]
