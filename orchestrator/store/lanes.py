"""Accounts, lanes and shares: limits, pauses, and who has ready jobs.

Beside its lanes of submissions an account has one of polls, with a budget of its own (see polls.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection

from orchestrator import policy
from orchestrator.job import Job
from orchestrator.policy import Bucket, Limits
from orchestrator.store import dialect, many_rows

_LANE_COLUMNS = (
    "id, account_id, media, per_minute, tokens, tokens_at, factor, factor_at, virtual_time,"
    " failures, paused_until, pause_reason, callback_at, found_by_poll_at,"
    " is_fixed, stopped_until, stop_reason"
)
POLLS = "poll"
"""Stands in the place of the media class in the lane of polls."""

Share = tuple[str, str, int]
"""Lane, tenant and priority: where a claim looks for ready jobs."""


class Lane(msgspec.Struct, frozen=True):
    """One account's submissions of one media class, or its polls."""

    id: str
    account_id: str
    media: str
    per_minute: int
    tokens: float
    tokens_at: int
    factor: float
    factor_at: int
    virtual_time: float
    failures: int
    paused_until: int
    pause_reason: str | None
    callback_at: int
    found_by_poll_at: int
    is_fixed: bool = False
    """An operator has set `per_minute`: settings do not change it."""
    stopped_until: int = 0
    """An operator's own pause."""
    stop_reason: str | None = None

    @property
    def closed_until(self) -> int:
        """Nothing is claimed until then, whoever asked for that."""
        return max(self.paused_until, self.stopped_until)

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.per_minute, self.tokens, self.tokens_at, self.factor, self.factor_at)

    @property
    def is_pushed(self) -> bool:
        """Callbacks arrive: no task was found by poll since the last one came."""
        return self.callback_at >= self.found_by_poll_at

    @property
    def is_half_open(self) -> bool:
        """The breaker lets one job through to see whether the provider is back."""
        return self.failures >= policy.BREAKER_AT


HIDDEN_TROUBLE = "The provider does not take jobs for this account right now."
"""What other tenants than the account's own are told of its trouble."""


class Account(msgspec.Struct, frozen=True):
    """A provider credential; `trouble` says why nothing is sent with it."""

    id: str
    provider: str
    max_in_flight: int
    trouble: str | None
    trouble_at: int | None
    checked_at: int
    is_fixed: bool = False


def lane_id(account_id: str, media: str) -> str:
    return f"{account_id}/{media}"


def ensure_account(
    connection: Connection, *, account_id: str, provider: str, limits: Limits, now: int
) -> None:
    """Make the account and its lanes, or bring their limits up to the settings, but for those that an
    operator has set (see `lane_orders`).
    """
    connection.execute(
        dialect.sql(
            "INSERT INTO accounts (id, provider, max_in_flight) VALUES (:id, :provider, :most)"
            " ON CONFLICT (id) DO UPDATE SET max_in_flight = excluded.max_in_flight"
            " WHERE NOT accounts.is_fixed"
        ),
        {"id": account_id, "provider": provider, "most": limits.max_in_flight},
    )
    for media, per_minute in (
        ("image", limits.image_per_minute),
        (POLLS, limits.polls_per_minute),
        ("video", limits.video_per_minute),
    ):  # in the order of their ids, as all who touch several lock them
        connection.execute(
            dialect.sql(
                "INSERT INTO lanes (id, account_id, media, per_minute, tokens, tokens_at)"
                " VALUES (:id, :account, :media, :per_minute, :tokens, :now)"
                " ON CONFLICT (id) DO UPDATE SET per_minute = excluded.per_minute,"
                " tokens = CASE WHEN lanes.tokens < excluded.tokens"
                " THEN lanes.tokens ELSE excluded.tokens END WHERE NOT lanes.is_fixed"
            ),
            {
                "id": lane_id(account_id, media),
                "account": account_id,
                "media": media,
                "per_minute": per_minute,
                "tokens": policy.burst(per_minute),
                "now": now,
            },
        )


def read_lanes(connection: Connection, account_id: str | None = None, *, lock: bool = False) -> list[Lane]:
    """All lanes of submissions (of one account), by id."""
    where = "" if account_id is None else " AND account_id = :account"
    ending = dialect.lock(connection.dialect.name) if lock else ""
    found = dialect.fetch(
        connection,
        f"SELECT {_LANE_COLUMNS} FROM lanes WHERE media <> '{POLLS}'{where} ORDER BY id{ending}",
        {} if account_id is None else {"account": account_id},
    )
    return [Lane(*row) for row in found]


def lock_lane(connection: Connection, lane: str) -> Lane:
    locking = dialect.lock(connection.dialect.name)
    found = connection.execute(
        dialect.sql(f"SELECT {_LANE_COLUMNS} FROM lanes WHERE id = :id{locking}"), {"id": lane}
    )
    return Lane(*found.one())


def read_accounts(connection: Connection) -> list[Account]:
    found = connection.execute(
        dialect.sql(
            "SELECT id, provider, max_in_flight, trouble, trouble_at, checked_at, is_fixed"
            " FROM accounts ORDER BY id"
        )
    )
    return [Account(*row) for row in found]


def share_of(job: Job) -> Share:
    return job.lane_id, job.tenant_id, job.priority


def open_shares(connection: Connection, wanted: Iterable[Share]) -> None:
    """Make sure that a claim will look at these shares.

    A share's `ready_from` never passes ids younger than 15 s (see `claims`), so new jobs need no more.
    """
    missing = [
        {"lane_id": lane, "tenant_id": tenant, "priority": priority}
        for lane, tenant, priority in sorted(wanted)
    ]
    many_rows.insert_many(connection, "shares", missing, on_conflict="DO NOTHING")


def reopen(connection: Connection, jobs: Iterable[Job]) -> None:
    """Jobs that became ready again are older than what was claimed meanwhile: claims look back.

    The row is written even where nothing changes: that waits for a claim under way, which would
    otherwise raise `ready_from` past these jobs without having seen them.
    """
    first: dict[Share, str] = {}
    for job in jobs:
        first[share_of(job)] = min(job.id, first.get(share_of(job), job.id))
    if first:
        connection.execute(
            dialect.sql(
                "UPDATE shares SET ready_from = CASE WHEN ready_from > :first THEN :first ELSE ready_from END"
                " WHERE lane_id = :lane AND tenant_id = :tenant AND priority = :priority"
            ),
            [
                {"lane": lane, "tenant": tenant, "priority": priority, "first": job_id}
                for (lane, tenant, priority), job_id in sorted(first.items())
            ],
        )
