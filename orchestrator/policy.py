"""Every number and formula that decides when and how often: retries, checks, limits, fairness.

Pure: callers pass `now` (ms) and `draw`, a random number in [0, 1), so that a test can walk
through all of it. Durations end in `_s` (seconds) or `_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MAX_TRIES = 5
LEASE_MS = 25_000
"""Longer than a POST may take, so that a living worker always answers before its lease ends."""
POST_DEADLINE_S = 20.0
CLAIM_MAX_AGE_S = 5.0
"""A claim older than this is given back unsent: the rate limit counts on it (see `burst`)."""
POSTS_PER_WORKER = 128
POLLS_PER_WORKER = 16
DELIVERIES_PER_WORKER = 32
"""At a time to hosts that answer, and as many again to those that have not answered yet."""
DELIVERIES_PER_HOST = 16
"""So that one receiver cannot take every place; each commit that takes some is worth as many."""
DELIVERY_PROMPT_S = 0.5
"""An attempt that waits longer gives its place to another and goes on beside it."""
DELIVERIES_OPEN = 250
"""The same with those that have given their place up."""
SILENT_DELIVERIES = 8
"""Attempts at a time, besides those, to hosts that kept us waiting for nothing lately."""
MOST_DELIVERIES = 2 * DELIVERIES_OPEN + SILENT_DELIVERIES
RECEIVER_BREAKER_AT = 5
STOP_GRACE_S = 7.0
MOST_OF_A_LIMIT = 10_000_000
"""What an operator may set a limit to: more than any account has, and not so much that a sum goes wrong."""
SOLO_AFTER_LOST_LEASES = 2
POISONED_AT_LOST_LEASES = 3
BREAKER_AT = 5
BREAKER_MS = 15_000
DOUBT_LOOKUPS_S = (5.0, 30.0, 120.0)
DOUBT_UNREADABLE_MS = 600_000
DOUBT_WINDOW_MS = 120_000
"""How far from the attempt's own time a task in the history may lie (clock skew included)."""
EMPTY_CHECKS = 3
EMPTY_CHECK_S = 20.0
ACCOUNT_CHECK_MS = 60_000
REFUSAL_PAUSE_CAP_S = 60.0
ACCOUNT_PAUSE_CAP_S = 3_600.0
"""Longer: a job that costs more than is left must not stop an account that else works each minute."""


class Pace(msgspec.Struct, frozen=True):
    """How long a media class takes: first check, then × 1.6 with jitter; all in seconds."""

    first_check_s: float
    unpushed_s: float
    longest_s: float
    abandoned_s: float


PACES = {
    "image": Pace(first_check_s=20, unpushed_s=2, longest_s=15 * 60, abandoned_s=3_600),
    "video": Pace(first_check_s=60, unpushed_s=5, longest_s=2 * 3_600, abandoned_s=6 * 3_600),
}
_CHECK_GROWTH, _CHECK_CAP_S = 1.6, 300.0
_LEAST_POLLS_PER_MINUTE = 120
_UNREAD_CAP_S = 60.0


class Limits(msgspec.Struct, frozen=True):
    """What an account may do: submissions per minute by media class, and tasks at a time."""

    image_per_minute: int
    video_per_minute: int
    max_in_flight: int

    @property
    def polls_per_minute(self) -> int:
        """Questions about tasks: two for each that may be started, and enough to follow a few. WaveSpeed
        publishes no limit of its own for them.
        """
        return max(_LEAST_POLLS_PER_MINUTE, 2 * (self.image_per_minute + self.video_per_minute))


TIERS = {
    "bronze": Limits(10, 5, 3),
    "silver": Limits(500, 60, 100),
    "gold": Limits(3_000, 600, 2_000),
    "ultra": Limits(5_000, 5_000, 5_000),
}
"""WaveSpeed's published account levels."""


def backoff_s(n: int, draw: float, *, base_s: float = 2.0, cap_s: float = 300.0) -> float:
    """Full jitter: a random part of min(cap, base·2^n), so that failed jobs do not return as a herd."""
    return draw * min(cap_s, base_s * 2.0 ** min(n, 30))


def check_in_s(media: str, checks: int, draw: float, *, is_pushed: bool) -> float:
    """Seconds until the next poll; `is_pushed` says that callbacks do arrive on this lane."""
    pace = PACES[media]
    first = pace.first_check_s if is_pushed else pace.unpushed_s
    return float(min(_CHECK_CAP_S, first * _CHECK_GROWTH ** min(checks, 20))) * (0.8 + 0.4 * draw)


def doubt_check_in_s(lookups: int) -> float:
    """Seconds until look-up number `lookups` + 1 in the provider's history."""
    return DOUBT_LOOKUPS_S[min(lookups, len(DOUBT_LOOKUPS_S) - 1)]


def unread_check_in_s(age_s: float) -> float:
    """Seconds until a history that could not be read is tried again, for an attempt that is so old."""
    return min(_UNREAD_CAP_S, max(DOUBT_LOOKUPS_S[0], age_s / 2))


def burst(per_minute: int) -> float:
    return max(1.0, per_minute * 0.05)


def rate_per_s(per_minute: int) -> float:
    """Tokens per second. A claim is sent at most 5 s later, so 60 s of sending draw on at most 65 s
    of claiming: burst + 65 · rate = per_minute makes the limit exact in every 60 s window. Where the
    burst is all of the limit, a little less than one token more still makes no second submission.
    """
    return max(0.9, per_minute - burst(per_minute)) / (60.0 + CLAIM_MAX_AGE_S)


class Bucket(msgspec.Struct, frozen=True):
    """A lane's allowance: `factor` is halved by each 429 and doubles each minute without one."""

    per_minute: int
    tokens: float
    tokens_at: int
    factor: float = 1.0
    factor_at: int = 0


def refill(bucket: Bucket, now: int) -> Bucket:
    elapsed_s = max(0, now - bucket.tokens_at) / 1_000
    factor = climbed(bucket, now)
    tokens = min(burst(bucket.per_minute), bucket.tokens + elapsed_s * rate_per_s(bucket.per_minute) * factor)
    return msgspec.structs.replace(bucket, tokens=tokens, tokens_at=max(now, bucket.tokens_at))


def climbed(bucket: Bucket, now: int) -> float:
    minutes = max(0, now - bucket.factor_at) / 60_000
    return float(min(1.0, bucket.factor * 2 ** min(minutes, 30.0)))


def throttle(bucket: Bucket, now: int) -> Bucket:
    """After a 429: half the rate, nothing left in the bucket."""
    halved = max(1 / 64, climbed(bucket, now) / 2)
    return msgspec.structs.replace(
        refill(bucket, now), tokens=min(0.0, bucket.tokens), factor=halved, factor_at=now
    )


def throttle_pause_s(retry_after_s: float | None, draw: float) -> float:
    """How long a lane pauses after a 429; an absurd Retry-After is cut to an hour."""
    if retry_after_s is None:
        return 2.0 + 3.0 * draw
    return min(max(retry_after_s, 1.0), 3_600.0)


def poll_pause_s(retry_after_s: float | None, draw: float) -> float:
    """How long nobody asks after a 429 to a poll: no longer than a check may wait at most, since a lost
    callback is found by asking only, and a task that nobody asked about misses its deadline.
    """
    return min(throttle_pause_s(retry_after_s, draw), _CHECK_CAP_S)


class Share(msgspec.Struct, frozen=True):
    """A tenant's place in a lane: the tenant with the least virtual time goes next."""

    tenant_id: str
    virtual_time: float
    weight: float = 1.0


def share_out(shares: list[Share], slots: int, room: Mapping[str, int]) -> dict[str, int]:
    """Give `slots` one by one to the tenant with the least virtual time; each costs 1 / weight.

    `room` is how many a tenant may still get, for those that have a limit of their own.
    """
    times = {share.tenant_id: share.virtual_time for share in shares}
    step = {share.tenant_id: 1.0 / share.weight for share in shares}
    given = dict.fromkeys(times, 0)
    if len(given) == 1:
        return {tenant: min(slots, room.get(tenant, slots)) for tenant in given}
    for _ in range(slots):
        if not times:
            break
        tenant = min(times, key=times.__getitem__)
        times[tenant] += step[tenant]
        given[tenant] += 1
        if given[tenant] == room.get(tenant):
            del times[tenant]
    return given


DELIVERY_SCHEDULE_S = (0, 5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Delay before each attempt of a delivery; about 76 hours in all."""
DELIVERY_DEADLINE_S = 15.0
ENDPOINT_FAILING_MS = 5 * 86_400_000
"""An endpoint that has heard nothing for so long is disabled by the next delivery that dies."""


def delivery_in_s(failures: int, draw: float, retry_after_s: float | None = None) -> float | None:
    """Seconds until the next attempt after `failures` failed ones, ±20 %; None when it is dead."""
    if failures >= len(DELIVERY_SCHEDULE_S):
        return None
    scheduled = DELIVERY_SCHEDULE_S[failures] * (0.8 + 0.4 * draw)
    return max(scheduled, min(retry_after_s or 0.0, 3_600.0))


def receiver_pause_s(failures: int) -> float:
    """How long a host is left alone after so many failures in a row, whoever's deliveries they were."""
    if failures < RECEIVER_BREAKER_AT:
        return 0.0
    return float(min(60.0, 2.0 ** min(failures - RECEIVER_BREAKER_AT, 6)))
