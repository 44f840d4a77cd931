"""What answers do to lanes and their account: throttling, pauses, the breaker, trouble and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.decision import LaneSignal, Signal
from orchestrator.store import dialect
from orchestrator.store.lanes import lock_lane

_BLOCKING = frozenset({Signal.ACCOUNT, Signal.ACCOUNT_UNSURE})
_BREAKER = "The provider keeps failing"


def apply_signals(connection: Connection, signals: Sequence[tuple[str, LaneSignal]], now: int) -> None:
    """Lanes in the order of their ids, each by what its answers said; rows change only if they must."""
    by_lane: dict[str, list[LaneSignal]] = {}
    for lane, signal in signals:
        by_lane.setdefault(lane, []).append(signal)
        if signal.kind in _BLOCKING:  # accounts before lanes, as a claim locks them
            _block_account(connection, lane, signal, now)
    for lane in sorted(by_lane):
        _apply_lane(connection, lane, by_lane[lane], now)


def _apply_lane(connection: Connection, lane: str, signals: Sequence[LaneSignal], now: int) -> None:
    kinds = {signal.kind for signal in signals}
    if Signal.HEALTHY in kinds:
        _run(
            connection,
            # A pause that a 429 asked for is not the breaker's to lift.
            "UPDATE lanes SET paused_until = CASE WHEN failures >= :limit AND pause_reason LIKE :breaker"
            " THEN 0 ELSE paused_until END, failures = 0 WHERE id = :lane AND failures > 0",
            lane=lane,
            limit=policy.BREAKER_AT,
            breaker=f"{_BREAKER}%",
        )
    if Signal.CALLED_BACK in kinds:
        _run(
            connection,
            "UPDATE lanes SET callback_at = :now WHERE id = :lane AND callback_at < :stale",
            lane=lane,
            now=now,
            stale=now - 1_000,
        )
    if Signal.FOUND_BY_POLL in kinds:
        _run(
            connection,
            "UPDATE lanes SET found_by_poll_at = :now WHERE id = :lane AND found_by_poll_at < :stale",
            lane=lane,
            now=now,
            stale=now - 1_000,
        )
    failing = [signal for signal in signals if signal.kind == Signal.FAILING]
    if failing and Signal.HEALTHY not in kinds:
        _count_failures(connection, lane, failing, now)
    throttled = [signal for signal in signals if signal.kind == Signal.THROTTLED]
    if throttled:
        _throttle(connection, lane, throttled, now)


def _count_failures(connection: Connection, lane: str, failing: Sequence[LaneSignal], now: int) -> None:
    opens = "failures + :more >= :limit AND paused_until < :until"
    _run(
        connection,
        "UPDATE lanes SET failures = failures + :more,"
        # The pause that a 429 asked for may be the longer one.
        f" paused_until = CASE WHEN {opens} THEN :until ELSE paused_until END,"
        f" pause_reason = CASE WHEN {opens} THEN :reason ELSE pause_reason END"
        " WHERE id = :lane",
        lane=lane,
        more=len(failing),
        limit=policy.BREAKER_AT,
        until=now + policy.BREAKER_MS,
        reason=f"{_BREAKER}: {failing[-1].message}"[:300],
    )


def _throttle(connection: Connection, lane: str, throttled: Sequence[LaneSignal], now: int) -> None:
    """One 429 or fifty in one group: one burst, halved once."""
    row = lock_lane(connection, lane)
    already_paused = row.paused_until > now
    bucket = row.bucket if already_paused else policy.throttle(row.bucket, now)
    until = max(row.paused_until, now + int(1_000 * max(signal.pause_s for signal in throttled)))
    _run(
        connection,
        "UPDATE lanes SET tokens = :tokens, tokens_at = :tokens_at, factor = :factor,"
        " factor_at = :factor_at, paused_until = :until, pause_reason = :reason WHERE id = :lane",
        lane=lane,
        tokens=bucket.tokens,
        tokens_at=bucket.tokens_at,
        factor=bucket.factor,
        factor_at=bucket.factor_at,
        until=until,
        reason="The provider says that this account sends too fast (429).",
    )


def _block_account(connection: Connection, lane: str, signal: LaneSignal, now: int) -> None:
    _run(
        connection,
        "UPDATE accounts SET trouble = :message, trouble_at = :now, checked_at = :checked_at"
        " WHERE id = (SELECT account_id FROM lanes WHERE id = :lane) AND trouble IS NULL",
        lane=lane,
        message=signal.message[:300],
        now=now,
        # What it was clearly refused for is not over a second later; else the provider is asked at once.
        checked_at=now if signal.kind == Signal.ACCOUNT else 0,
    )


def clear_trouble(connection: Connection, account_id: str) -> None:
    """The credential works again."""
    _run(
        connection,
        "UPDATE accounts SET trouble = NULL, trouble_at = NULL WHERE id = :id AND trouble IS NOT NULL",
        id=account_id,
    )


def take_account_check(connection: Connection, account_id: str, *, now: int, every_ms: int) -> bool:
    """Whether this caller is the one to ask the provider now."""
    taken = connection.execute(
        dialect.sql(
            "UPDATE accounts SET checked_at = :now WHERE id = :id AND trouble IS NOT NULL"
            " AND checked_at <= :stale RETURNING id"
        ),
        {"id": account_id, "now": now, "stale": now - every_ms},
    )
    return taken.first() is not None


def _run(connection: Connection, statement: str, **values: Any) -> None:
    connection.execute(dialect.sql(statement), values)
