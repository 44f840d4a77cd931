"""Batches, how they get on, and what became of their lines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from orchestrator.web.reference.shapes.jobs import Job
from orchestrator.web.reference.shapes.problems import Rejected
from orchestrator.web.reference.shapes.words import Count, Id, State


class BatchCounts(Struct):
    created: Count
    processing: Count
    completed: Count
    failed: Count


class BatchUrls(Struct):
    get: str
    jobs: str
    results: str


class Failure(Struct):
    """Failures of one kind."""

    fingerprint: str
    reason: str
    message: str
    count: Annotated[int, Meta(ge=1)]


class BatchSummary(Struct, kw_only=True):
    id: Id
    name: str
    state: Literal["receiving", "running", "paused", "cancelling", "completed", "cancelled"]
    mode: Literal["atomic", "partial"]
    model: str
    created_at: str
    finished_at: str
    total: Count
    rejected_lines: Count
    counts: BatchCounts
    progress: Annotated[float, Meta(ge=0, le=1)]
    cost: Annotated[None, Meta(description="Always null: the provider tells no price of a task.")]
    urls: BatchUrls


class Batch(BatchSummary, kw_only=True):
    per_second: float
    eta_seconds: Annotated[float | None, Meta(description="null where nobody can say.")]
    waiting_for: Annotated[
        str, Meta(description="Why jobs that could be sent are kept back, or that none may start yet.")
    ]
    failures: Annotated[list[Failure], Meta(description="By kind, the 100 most frequent.")]


class NewBatch(Batch, kw_only=True):
    rejected: list[Rejected]


class RetriedBatch(Batch, kw_only=True):
    retrying: Annotated[int, Meta(ge=0, description="How many jobs get another life; 0 in a replay.")]


class DryRun(Struct):
    """What would have become of a batch."""

    dry_run: Literal[True]
    total: Count
    accepted: Count
    rejected: list[Rejected]


class Batches(Struct):
    items: list[BatchSummary]


class BatchJobs(Struct):
    items: list[Job]
    next: Annotated[int | None, Meta(description="The `after` of the next page; null on the last.")]


class ResultLine(Struct):
    """One line of the results of a batch."""

    line: Annotated[int, Meta(ge=1)]
    custom_id: str
    id: Id
    model: str
    status: State
    outputs: list[Any]
    error: str
    reason: str
    seconds: float | None
    input: dict[str, Any] | UnsetType = UNSET
