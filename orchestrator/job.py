"""A job and its attempts as rows: which phases there are, why a job failed, what a job ended with.

`lifecycle.py` says how one becomes another.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from orchestrator.evidence import Error, Result, Source


class Phase(StrEnum):
    """Where a job is: what it means, who moves it on, and what happens if that actor dies."""

    HELD = "held"
    """Not released: its batch is still being received or is paused, or an operator must decide. Stays."""
    READY = "ready"
    """May be claimed. The submit drain moves it on; the tick starts that drain every second."""
    WAITING = "waiting"
    """Scheduled or backing off until `due_at`. The sweep moves it on; the next sweep, if one dies."""
    SUBMITTING = "submitting"
    """Leased by one worker that is about to POST it. If the worker dies the lease ends: in doubt."""
    IN_DOUBT = "in_doubt"
    """Sent, or maybe sent, and no answer known. A callback or the provider's history settles it."""
    ACCEPTED = "accepted"
    """The provider has it. A callback, a poll or the deadline moves it on."""
    COMPLETED = "completed"
    """There is evidence of an output. Never changes."""
    FAILED = "failed"
    """Ended with a reason. Leaves only by redrive, or by a late success unless it was cancelled."""


class Reason(StrEnum):
    """Why a job failed."""

    REJECTED = "rejected"
    """The provider will never accept this input, or somebody ended its task there."""
    EXHAUSTED = "exhausted"
    """Every allowed try failed."""
    EXPIRED = "expired"
    """A deadline passed."""
    CANCELLED = "cancelled"
    """Somebody cancelled it before anything was paid."""
    UNRESOLVED = "unresolved"
    """It was in doubt and nobody could say in time whether the provider has it."""
    POISONED = "poisoned"
    """Every worker that submitted it died."""
    NO_OUTPUT = "no_output"
    """The provider says completed but gave no output."""


class HeldFor(StrEnum):
    """What a held job waits for."""

    BATCH = "batch"
    """Its batch is still being received, or is paused."""
    DOUBT = "doubt"
    """A person must say whether it is sent again."""


ENDED = frozenset({Phase.COMPLETED, Phase.FAILED})


class Job(msgspec.Struct, frozen=True, gc=False):
    """The row of `jobs` as the moves see it; times in ms."""

    id: str
    tenant_id: str
    lane_id: str
    model: str
    api_version: str
    media: str
    priority: int
    phase: Phase
    created_at: int
    input_hash: str
    """Hash of the canonical input: equal for tasks that the provider's history cannot tell apart."""
    reason: Reason | None = None
    attempt: int = 0
    tries: int = 0
    ending: int = 0
    lost_leases: int = 0
    held_for: HeldFor | None = None
    batch_id: str | None = None
    line: int | None = None
    """Its place in the batch, from 1."""
    custom_id: str | None = None
    """The client's own name for it within the batch."""
    not_before: int | None = None
    due_at: int | None = None
    start_by: int | None = None
    finish_by: int | None = None
    lease_owner: str | None = None
    started_at: int | None = None
    accepted_at: int | None = None
    finished_at: int | None = None
    cancel_requested_at: int | None = None
    dismissed_at: int | None = None
    fingerprint: str | None = None
    """Equal for failures of one kind; None unless failed."""
    webhook: str | None = None
    webhook_scheme: str | None = None
    """None is the usual one."""
    answer_lost_at: int | None = None
    request_hash: str | None = None

    @property
    def public_state(self) -> str:
        """The user's word for the phase: created, processing, completed or failed."""
        return public_state(self.phase, self.attempt)

    @property
    def is_ended(self) -> bool:
        return self.phase in ENDED


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One try at the provider, open (`ended_at` is None) as long as a task of it may still run."""

    job_id: str
    number: int
    account_id: str
    claimed_at: int
    input_hash: str
    provider_id: str | None = None
    is_adopted: bool = False
    is_solo: bool = False
    sent_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    ended_by: Source | None = None
    outcome: str | None = None
    check_at: int | None = None
    checks: int = 0
    empties: int = 0
    excerpt: str = ""
    result: str | None = None


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job ended with, kept in `documents`."""

    result: Result | None = None
    error: Error | None = None


def public_state(phase: str, attempt: int) -> str:
    """`created` until an attempt has started, from then on `processing` until the end."""
    if phase in ENDED:
        return str(phase)
    return "processing" if attempt else "created"


def is_in_doubt(job: Job) -> bool:
    """Whether the provider may have a task of this job without our knowing."""
    return job.phase == Phase.IN_DOUBT or job.held_for == HeldFor.DOUBT


def deadline(job: Job) -> int | None:
    """When a job that is not at the provider expires: `start_by` counts until the provider may have it. What
    was refused for now, or never left, has not started, however often it was tried.
    """
    if job.start_by is None or job.tries or is_in_doubt(job):
        return job.finish_by
    return job.start_by if job.finish_by is None else min(job.start_by, job.finish_by)
