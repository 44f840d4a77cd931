"""What an account may ask about its tasks: a budget beside that of its submissions, for all workers together.

A 429 to a poll stops the polls for a while, and they come back at half the rate; no submission waits for it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.decision import LaneSignal, Signal
from orchestrator.store import dialect, lane_signals, lanes


def take_polls(connection: Connection, *, account_id: str, most: int, now: int) -> int:
    """How many questions may be asked now, at most `most`; they are taken out of the budget."""
    lane = lanes.lock_lane(connection, lanes.lane_id(account_id, lanes.POLLS))
    bucket = policy.refill(lane.bucket, now)
    taken = min(most, int(bucket.tokens))
    if lane.paused_until > now or taken <= 0:
        return 0
    connection.execute(
        dialect.sql("UPDATE lanes SET tokens = :tokens, tokens_at = :tokens_at WHERE id = :id"),
        {"tokens": bucket.tokens - taken, "tokens_at": bucket.tokens_at, "id": lane.id},
    )
    return taken


def pay_polls(connection: Connection, *, account_id: str, count: int, now: int) -> None:
    """Take what was asked already out of the budget; what is missing fills up before anybody asks again."""
    lane = lanes.lock_lane(connection, lanes.lane_id(account_id, lanes.POLLS))
    bucket = policy.refill(lane.bucket, now)
    connection.execute(
        dialect.sql("UPDATE lanes SET tokens = :tokens, tokens_at = :tokens_at WHERE id = :id"),
        {"tokens": bucket.tokens - count, "tokens_at": bucket.tokens_at, "id": lane.id},
    )


def throttle_polls(connection: Connection, *, account_id: str, pause_s: float, now: int) -> None:
    """After a 429 to a poll: what is due stays due until the pause is over."""
    signal = LaneSignal(Signal.THROTTLED, pause_s=pause_s)
    lane_signals.apply_signals(connection, [(lanes.lane_id(account_id, lanes.POLLS), signal)], now)
