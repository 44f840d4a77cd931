"""What the server answers, as far as the commands read it."""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """One move of a job."""

    at: str
    verb: str
    from_phase: str
    to_phase: str
    attempt: int
    source: str
    because: str


class Attempt(msgspec.Struct, frozen=True):
    """One try at the provider; a time that has not come is empty."""

    number: int
    provider_id: str
    claimed_at: str
    sent_at: str
    answered_at: str
    ended_at: str
    ended_by: str
    outcome: str
    checks: int
    next_check_at: str = ""


class Callback(msgspec.Struct, frozen=True):
    """Callbacks of one attempt with one verdict, counted."""

    attempt: int
    verdict: str
    count: int
    first_at: str
    last_at: str


class Delivery(msgspec.Struct, frozen=True):
    """A webhook to the user's URL."""

    id: str
    state: str
    failures: int
    created_at: str
    due_at: str
    finished_at: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction with what only this server knows of it; the lists are filled when one job is read."""

    id: str
    model: str
    status: str
    created_at: str
    outputs: list[Any] = []
    error: str = ""
    code: int = 0
    phase: str = ""
    reason: str = ""
    attempt: int = 0
    tries: int = 0
    lane: str = ""
    api_version: str = ""
    finished_at: str = ""
    due_at: str = ""
    cancel_requested: bool = False
    may_be_billed: bool = False
    seconds: float | None = None
    inputs: dict[str, Any] = {}
    events: list[Event] = []
    attempts: list[Attempt] = []
    callbacks: list[Callback] = []
    deliveries: list[Delivery] = []

    @property
    def is_ended(self) -> bool:
        return self.status in ("completed", "failed")


class Page(msgspec.Struct, frozen=True):
    """Some jobs, newest first."""

    items: list[Job]


class Uploaded(msgspec.Struct, frozen=True):
    """Where the provider keeps an uploaded file."""

    download_url: str


class LoginLink(msgspec.Struct, frozen=True):
    """Logs in to the dashboard once, until then."""

    url: str
    expires_at: str


class Lane(msgspec.Struct, frozen=True):
    """One account's submissions of one media class."""

    id: str
    per_minute: int
    paused_until: str
    pause_reason: str
    callbacks_arrive: bool
    is_fixed: bool = False
    is_paused: bool = False
    paused_by: str = ""


class Account(msgspec.Struct, frozen=True):
    """A provider credential; `trouble` says why nothing is sent with it."""

    id: str
    max_in_flight: int
    trouble: str
    is_fixed: bool = False


class Lanes(msgspec.Struct, frozen=True):
    """Limits, pauses, and how many open jobs are in each phase."""

    accounts: list[Account]
    lanes: list[Lane]
    phases: dict[str, int]
    bell: str


class Envelope(msgspec.Struct, frozen=True):
    """`{"code":200,"message":"success","data":…}`."""

    data: msgspec.Raw


class BadLine(msgspec.Struct, frozen=True):
    """One line of a batch that cannot become a job; the server's message is made for people."""

    line: int
    message: str
    custom_id: str | None = None
    field: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """An answer that is an error; one about a batch lists the wrong lines."""

    message: str = ""
    field: str | None = None
    errors: list[BadLine] = []
