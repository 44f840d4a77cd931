"""Jobs with all that this server knows of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from orchestrator.job import Phase, Reason
from orchestrator.web.reference.shapes.predictions import Prediction
from orchestrator.web.reference.shapes.words import Count, NoId


class Job(Prediction, kw_only=True):
    """The prediction, and what this server knows besides."""

    phase: Phase
    reason: Annotated[
        str, Meta(description="Why it failed.", extra_json_schema={"enum": ["", *map(str, Reason)]})
    ]
    attempt: Count
    tries: Annotated[int, Meta(ge=0, description="Attempts that count against the allowed ones.")]
    lane: str
    api_version: Literal["v2", "v3"]
    finished_at: str
    due_at: Annotated[str, Meta(description="When its next step is due.")]
    dismissed_at: Annotated[str, Meta(description="When somebody took it off the dead letters.")]
    cancel_requested: bool
    seconds: Annotated[float | None, Meta(description="From its creation to its end.")]
    priority: Annotated[int, Meta(ge=0, le=9)]
    batch: NoId
    line: Annotated[int | None, Meta(description="Its line in the batch.")]
    custom_id: str
    fingerprint: Annotated[str, Meta(description="Equal for failures of one kind.")]


class Cancelled(Job, kw_only=True):
    may_be_billed: Annotated[bool, Meta(description="Whether the provider may have it already.")]


class Event(Struct):
    """One move of a job."""

    at: str
    verb: str
    from_phase: str
    to_phase: Phase
    attempt: Count
    source: str
    because: str


class Attempt(Struct):
    """One try at the provider."""

    number: Annotated[int, Meta(ge=1)]
    provider_id: str
    claimed_at: str
    sent_at: str
    answered_at: str
    ended_at: str
    ended_by: str
    outcome: str
    checks: Count
    next_check_at: str
    excerpt: Annotated[str, Meta(description="The beginning of what the provider said.")]


class Callback(Struct):
    """Callbacks of one attempt with one verdict, counted."""

    attempt: Count
    verdict: str
    count: Count
    first_at: str
    last_at: str


class JobsDelivery(Struct):
    id: str
    state: Literal["pending", "delivered", "dead"]
    failures: Count
    created_at: str
    due_at: str
    finished_at: str


class JobWithTimeline(Job, kw_only=True):
    events: list[Event]
    attempts: list[Attempt]
    callbacks: list[Callback]
    deliveries: list[JobsDelivery]


class Jobs(Struct):
    items: list[Job]
