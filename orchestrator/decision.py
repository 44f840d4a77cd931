"""What a flow decides about one job while the store holds it locked.

A flow hands the store a pure function `(job, attempt) -> Decision`; the store calls it inside the
transaction that has locked both rows, and writes what it says together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from orchestrator.job import Attempt, Job
from orchestrator.lifecycle import Move


class Signal(StrEnum):
    """What an answer says about the lane or the account, besides the job."""

    HEALTHY = "healthy"
    """The provider answered sensibly: the breaker's count starts again."""
    FAILING = "failing"
    """Unavailable or in doubt: counts towards the breaker."""
    THROTTLED = "throttled"
    """429: the lane pauses and halves its rate."""
    ACCOUNT = "account"
    """The credential does not work: nothing more is sent with it."""
    ACCOUNT_UNSURE = "account_unsure"
    """The credential may not work: nothing more is sent with it until the provider was asked, at once."""
    CALLED_BACK = "called_back"
    """A callback ended a task: the provider's callbacks arrive."""
    FOUND_BY_POLL = "found_by_poll"
    """A poll found what a callback should have told."""


class LaneSignal(msgspec.Struct, frozen=True):
    """A signal with what belongs to it; `pause_s` only for THROTTLED, `message` for the operator."""

    kind: Signal
    message: str = ""
    pause_s: float = 0.0


class Audited(msgspec.Struct, frozen=True):
    """A line of the audit: what somebody has done to the job."""

    actor: str
    action: str


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`note` names the row of the table that was chosen; `job` is for a change that is no move."""

    note: str
    move: Move | None = None
    job: Job | None = None
    attempt: Attempt | None = None
    signals: tuple[LaneSignal, ...] = ()
    audited: Audited | None = None


class Applied(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What came of it, after the commit."""

    note: str
    job: Job
    move: Move | None = None


Decide = Callable[[Job, Attempt | None], Decision]
