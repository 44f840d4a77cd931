"""A lane as people see it: whether it is open, how fast it may send, what waits and for how long."""

from __future__ import annotations

from collections import Counter

import msgspec

from orchestrator import policy
from orchestrator.clock import SECOND
from orchestrator.store.lane_board import LaneBoard
from orchestrator.store.lane_orders import FOREVER
from orchestrator.store.lanes import Account, Lane
from orchestrator.store.series import percentile
from orchestrator.web.dashboard.words import duration, percent, plain

ACCOUNT_TROUBLE = "The provider does not take jobs for this account right now"


class Door(msgspec.Struct, frozen=True):
    """Whether jobs pass: a tone and a word for it, because of what, and what happens next, in sentences.

    The cause may be the provider's own text, page and all.
    """

    tone: str
    word: str
    cause: str = ""
    then: str = ""

    @property
    def is_open(self) -> bool:
        return self.word == "open"

    @property
    def is_closed(self) -> bool:
        """Nothing passes."""
        return self.tone in ("wait", "bad")

    @property
    def why(self) -> str:
        """The whole of it."""
        return " ".join(part for part in (self.cause, self.then) if part)

    @property
    def short(self) -> str:
        """Why, in few words."""
        cause = plain(self.cause)
        return " ".join(part for part in (cause, self.then) if part)


class LaneSeen(msgspec.Struct, frozen=True, kw_only=True):
    """`backlog` counts jobs that are ready or wait for their time; `eta` is in ms, None where unknown."""

    lane: Lane
    door: Door
    tokens: float
    burst: float
    factor: float
    backlog: int
    at_provider: int
    eta: float | None
    claimed: int
    throttled: int
    completed: int
    failed: int
    runs: Counter[int]

    @property
    def is_stopped(self) -> bool:
        """By an operator; only then there is something to resume."""
        return self.lane.stopped_until > 0 and self.door.word == "paused"

    @property
    def backlog_note(self) -> str:
        if self.eta is None:
            return "jobs to be sent"
        return "sent at once" if self.eta < SECOND else f"sent in about {duration(self.eta)}"

    @property
    def throttled_share(self) -> float | None:
        return self.throttled / max(self.claimed, self.throttled) if self.claimed or self.throttled else None

    @property
    def success(self) -> float | None:
        ended = self.completed + self.failed
        return self.completed / ended if ended else None

    @property
    def p50(self) -> float | None:
        return percentile(self.runs, 0.5)

    @property
    def p95(self) -> float | None:
        return percentile(self.runs, 0.95)


def seen(board: LaneBoard, lane: Lane, *, now: int) -> LaneSeen:
    """Everything that is told of one lane at a glance."""
    account = next(one for one in board.accounts if one.id == lane.account_id)
    stages, sums, reasons = (
        found.get(lane.id, Counter[str]()) for found in (board.stages, board.sums, board.reasons)
    )
    runs = board.runs.get(lane.id, Counter())
    ready = max(0, stages["ready"])
    is_open = lane.closed_until <= now and not account.trouble
    return LaneSeen(
        lane=lane,
        door=door(lane, account, now=now),
        tokens=max(0.0, policy.refill(lane.bucket, now).tokens),
        burst=policy.burst(lane.per_minute),
        factor=policy.climbed(lane.bucket, now),
        backlog=ready + max(0, stages["waiting"]),
        at_provider=sum(max(0, stages[phase]) for phase in ("submitting", "in_doubt", "accepted")),
        eta=_eta(lane, account, ready, runs, now=now) if is_open and ready else None,
        claimed=sums["claimed"],
        throttled=board.outcomes.get(lane.id, Counter())["throttled"],
        completed=sums["completed"],
        # What somebody has cancelled tells nothing of the lane.
        failed=max(0, sums["failed"] - reasons["cancelled"]),
        runs=runs,
    )


def door(lane: Lane, account: Account, *, now: int) -> Door:
    """The strongest reason first: an operator's word, the account, the breaker, a 429, a lower rate."""
    if lane.stopped_until > now:
        because = lane.stop_reason or "an operator has paused it"
        cause = f"{because[:1].upper()}{because[1:].rstrip('.')}."
        return Door("wait", "paused", cause, _goes_on(lane.stopped_until, now))
    if account.trouble:
        return Door("bad", "account", then="Its account does not work; jobs wait until it does.")
    if lane.paused_until > now:
        because = (lane.pause_reason or "The provider asked for a pause").rstrip(".")
        word = "breaker open" if lane.is_half_open else "paused"
        tone = "bad" if lane.is_half_open else "wait"
        return Door(tone, word, f"{because}.", _goes_on(lane.paused_until, now))
    if lane.is_half_open:
        return Door(
            "doubt",
            "half open",
            then="One job at a time goes through, to see whether the provider is back.",
        )
    factor = policy.climbed(lane.bucket, now)
    if factor < 1:
        then = f"At {percent(factor)} of its rate after a 429; it doubles each minute."
        return Door("doubt", "slowed", then=then)
    return Door("good", "open")


def _goes_on(until: int, now: int) -> str:
    return (
        "It waits until somebody resumes it."
        if until >= FOREVER
        else f"It goes on in {duration(until - now)}."
    )


def _eta(lane: Lane, account: Account, ready: int, runs: Counter[int], *, now: int) -> float:
    """By the rate, or by the slots at the provider where they are the narrower limit."""
    per_s = policy.rate_per_s(lane.per_minute) * policy.climbed(lane.bucket, now)
    by_slots = ready * (percentile(runs, 0.5) or 0.0) / max(1, account.max_in_flight)
    return max(1_000 * ready / per_s, by_slots)
