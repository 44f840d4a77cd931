"""What is known about one attempt, whoever told it: the single currency of the flows.

The answer to a POST, a callback, a poll and a line of the provider's history each become one
`Evidence`. Adapters make it, `settle` reads it, nothing else decides what a job does next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Source(StrEnum):
    """Who told it."""

    ANSWER = "answer"
    CALLBACK = "callback"
    POLL = "poll"
    HISTORY = "history"
    WORKER = "worker"


class Status(StrEnum):
    """What the provider's task is, as far as this evidence goes."""

    ACCEPTED = "accepted"
    """The provider has it and has not ended it."""
    COMPLETED = "completed"
    FAILED = "failed"
    """The provider ended it without an output."""
    REFUSED = "refused"
    """Provably no task was made; `error.kind` says why."""
    UNKNOWN = "unknown"
    """Sent, or maybe sent; nobody knows whether there is a task."""
    GONE = "gone"
    """The provider says it does not know the id; no failure by itself."""
    SILENT = "silent"
    """The provider could not be asked; says nothing about the task."""


class ErrorKind(StrEnum):
    """The error classes of the retry policy, assigned once, at the adapter's edge."""

    UNAVAILABLE = "unavailable"
    """Provably not sent, or refused as unavailable: try again, no try used."""
    THROTTLED = "throttled"
    """Over the account's rate: the lane pauses, no try used."""
    ACCOUNT = "account"
    """Wrong key, suspended or out of credit: jobs wait until the account works again."""
    UNCLEAR = "unclear"
    """Refused for the account's sake or for the input's, nobody knows which: the account is asked at once,
    and the job has used a try, so that it cannot stop the account again and again."""
    REJECTED = "rejected"
    """The input will never be accepted, or its task was ended on purpose: the job ends."""
    TASK_FAILED = "task_failed"
    """The provider's task failed for a reason that may pass: a new try."""
    LOST = "lost"
    """The answer to the POST was lost or could not be read."""


class Error(msgspec.Struct, frozen=True):
    """Why something failed: `code` is the provider's prediction-level code (0 when it gave none)."""

    kind: ErrorKind
    message: str
    code: int = 0
    http_status: int = 0
    retry_after_s: float | None = None


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a task gave: `outputs` as the provider sent them (URLs, data URIs, texts or objects)."""

    outputs: list[Any] = []
    has_nsfw_contents: list[bool] = []
    inference_ms: int = 0


class Evidence(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One observation of one attempt's task."""

    source: Source
    status: Status
    provider_id: str | None = None
    model: str | None = None
    """The task's model, where the provider tells it."""
    result: Result | None = None
    error: Error | None = None
    excerpt: str = ""
    """What was answered, cut to 1,000 characters, for the timeline; never a secret."""
