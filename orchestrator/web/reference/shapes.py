"""What our own answers hold, as types: the API description is made from them, and tests hold answers to them.

A time is a text in RFC 3339; a text that does not apply is empty, since some clients fail on null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from orchestrator.lifecycle import Phase, Reason

Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
NoId = Annotated[str, Meta(pattern="^([0-9a-f]{32})?$", description="Empty where there is none.")]
Count = Annotated[int, Meta(ge=0)]
State = Literal["created", "processing", "completed", "failed"]


class Problem(Struct):
    """Every answer that is not a success."""

    code: Annotated[int, Meta(ge=400, le=599, description="The HTTP status.")]
    message: Annotated[str, Meta(description="What is wrong, for a person.")]
    field: Annotated[str, Meta(description="The path of the value that is wrong.")] | UnsetType = UNSET


class Rejected(Struct):
    """A line of a batch that makes no job."""

    line: Annotated[int, Meta(ge=1)]
    custom_id: str
    field: str
    message: str


class ProblemOfLines(Struct):
    """A refusal that names every bad line of a batch."""

    code: Annotated[int, Meta(ge=400, le=599)]
    message: str
    field: str | UnsetType = UNSET
    errors: list[Rejected] | UnsetType = UNSET


class Health(Struct):
    status: Literal["ok"]


class Ready(Struct):
    database: Literal["up"]
    bell: Annotated[
        Literal["up", "down"], Meta(description="Redis, which only makes things faster: down is no failure.")
    ]


class PredictionUrls(Struct):
    get: Annotated[str, Meta(description="Where to ask for the result.")]


class Timings(Struct):
    inference: Annotated[int, Meta(ge=0, description="Milliseconds.")]


class Prediction(Struct, kw_only=True):
    """A job as WaveSpeed's clients know it: always the whole of it, never a null."""

    id: Id
    model: str
    status: State
    outputs: Annotated[
        list[Any], Meta(description="URLs, base64 or data URIs, texts, or objects with a `url`.")
    ]
    urls: PredictionUrls
    has_nsfw_contents: list[bool]
    created_at: str
    error: Annotated[str, Meta(description="Empty when there is none.")]
    executionTime: Annotated[int, Meta(ge=0, description="Milliseconds.")]  # noqa: N815 - WaveSpeed's name
    timings: Timings
    code: (
        Annotated[int, Meta(description="1xxx: the request must change. 5xxx: another try may succeed.")]
        | UnsetType
    ) = UNSET
    inputs: dict[str, Any] | UnsetType = UNSET


class History(Struct):
    page: Annotated[int, Meta(ge=1)]
    items: list[Prediction]


class Deleted(Struct):
    deleted_count: Count


class Secret(Struct):
    secret: Annotated[str, Meta(description="Verifies the signature of what your webhooks are sent.")]


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


class BatchJobs(Struct):
    items: list[Job]
    next: Annotated[int | None, Meta(description="The `after` of the next page; null on the last.")]


class Account(Struct):
    id: str
    max_in_flight: int
    trouble: Annotated[str, Meta(description="Why the provider takes nothing from this account now.")]


class Lane(Struct):
    """One kind of work of one account, with its rate."""

    id: str
    per_minute: int
    paused_until: str
    pause_reason: str
    callbacks_arrive: bool


class Lanes(Struct):
    accounts: list[Account]
    lanes: list[Lane]
    phases: Annotated[dict[str, int], Meta(description="How many of your jobs are in each phase.")]
    bell: str


class DeliverySummary(Struct, kw_only=True):
    """What one of your webhooks is told."""

    id: str
    job: NoId
    batch: NoId
    url: Annotated[str, Meta(description="Without what may hold a secret.")]
    state: Literal["pending", "delivered", "dead"]
    failures: Count
    attempted: Count
    last_status: int | None
    last_error: str
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
    count: Count


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
    urls: BatchUrls


class Batch(BatchSummary, kw_only=True):
    per_second: float
    eta_seconds: Annotated[float | None, Meta(description="null where nobody can say.")]
    failures: list[Failure]


class NewBatch(Batch, kw_only=True):
    rejected: list[Rejected]


class RetriedBatch(Batch, kw_only=True):
    retrying: Annotated[int, Meta(ge=0, description="How many jobs get another life.")]


class DryRun(Struct):
    """What would have become of a batch."""

    dry_run: Literal[True]
    total: Count
    accepted: Count
    rejected: list[Rejected]


class Batches(Struct):
    items: list[BatchSummary]


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


class Taken(Struct):
    callback: Literal["believed", "polled", "ignored", "unknown"]


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
