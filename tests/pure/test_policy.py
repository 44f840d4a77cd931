"""The numbers: pauses, checks, limits and shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import policy
from orchestrator.policy import Bucket, Share
from tests.factories import T0

DRAWS = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 100), DRAWS)
def test_a_pause_is_a_random_part_that_doubles_up_to_its_cap(n: int, draw: float) -> None:
    assert 0 <= policy.backoff_s(n, draw) <= min(300, 2 * 2.0**n)


def test_pauses_grow_and_are_capped() -> None:
    assert [policy.backoff_s(n, 0.5) for n in (0, 1, 2, 7, 8, 60)] == [1, 2, 4, 128, 150, 150]
    assert policy.backoff_s(60, 0.5, base_s=0.5, cap_s=60) == 30


@pytest.mark.parametrize(
    ("media", "is_pushed", "expected"),
    [
        ("image", True, [20, 32, 51.2, 300]),
        ("image", False, [2, 3.2, 5.12, 300]),
        ("video", True, [60, 96, 153.6, 300]),
        ("video", False, [5, 8, 12.8, 300]),
    ],
)
def test_checks_grow_rarer_up_to_five_minutes(media: str, is_pushed: bool, expected: list[float]) -> None:
    found = [policy.check_in_s(media, checks, 0.5, is_pushed=is_pushed) for checks in (0, 1, 2, 30)]
    assert found == pytest.approx(expected)


def test_checks_are_spread_by_a_fifth_either_way() -> None:
    assert policy.check_in_s("image", 0, 0.0, is_pushed=True) == pytest.approx(16)
    assert policy.check_in_s("image", 0, 1.0, is_pushed=True) == pytest.approx(24)


def test_look_ups_in_the_history_come_at_5_30_and_120_seconds() -> None:
    assert [policy.doubt_check_in_s(n) for n in range(5)] == [5, 30, 120, 120, 120]


@pytest.mark.parametrize(("age_s", "in_s"), [(0, 5), (5, 5), (30, 15), (90, 45), (120, 60), (599, 60)])
def test_a_history_that_cannot_be_read_is_tried_ever_less_often(age_s: float, in_s: float) -> None:
    assert policy.unread_check_in_s(age_s) == in_s


@pytest.mark.parametrize("per_minute", [2, 5, 10, 60, 500, 5_000])
def test_a_burst_and_65_seconds_of_the_rate_are_the_limit(per_minute: int) -> None:
    total = policy.burst(per_minute) + 65 * policy.rate_per_s(per_minute)
    assert total == pytest.approx(per_minute)


def test_one_a_minute_is_not_one_for_ever() -> None:
    empty = Bucket(1, 0.0, T0)
    assert policy.refill(empty, T0 + 65_000).tokens < 1
    assert policy.refill(empty, T0 + 75_000).tokens == 1


@given(st.integers(1, 5_000), st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 50)), max_size=60))
def test_no_sixty_five_seconds_of_claims_draw_more_than_the_limit(
    per_minute: int, steps: list[tuple[int, int]]
) -> None:
    bucket, now, claimed = Bucket(per_minute, policy.burst(per_minute), T0), T0, []
    for wait_ms, wanted in steps:
        now += wait_ms
        bucket = policy.refill(bucket, now)
        taken = min(wanted, int(bucket.tokens))
        bucket = Bucket(per_minute, bucket.tokens - taken, bucket.tokens_at)
        claimed += [now] * taken
    for start in claimed:
        assert sum(start <= at < start + 65_000 for at in claimed) <= per_minute


def test_a_bucket_does_not_fill_from_a_clock_that_steps_back() -> None:
    bucket = policy.refill(Bucket(60, 0.0, T0), T0 - 60_000)
    assert (bucket.tokens, bucket.tokens_at) == (0.0, T0)


def test_each_429_halves_the_rate_down_to_a_floor_and_a_minute_doubles_it() -> None:
    bucket = policy.throttle(Bucket(600, 30.0, T0), T0)
    assert (bucket.factor, bucket.tokens) == (0.5, 0.0)
    assert policy.climbed(bucket, T0 + 60_000) == 1.0
    for _ in range(20):
        bucket = policy.throttle(bucket, T0)
    assert bucket.factor == 1 / 64
    assert policy.climbed(bucket, T0 + 120_000) == 4 / 64
    assert policy.climbed(bucket, T0 + 10**12) == 1.0


def test_a_halved_rate_fills_the_bucket_half_as_fast() -> None:
    halved = Bucket(600, 0.0, T0, factor=0.5, factor_at=T0 + 1_000)
    full = Bucket(600, 0.0, T0)
    later = T0 + 1_000
    assert policy.refill(halved, later).tokens == pytest.approx(policy.refill(full, later).tokens / 2)


@pytest.mark.parametrize(("retry_after_s", "pause_s"), [(None, 3.5), (0.0, 1.0), (7.0, 7.0), (1e12, 3_600.0)])
def test_a_429_pauses_as_long_as_it_says_within_reason(retry_after_s: float | None, pause_s: float) -> None:
    assert policy.throttle_pause_s(retry_after_s, 0.5) == pause_s


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"), [(None, 3.5), (0.0, 1.0), (90.0, 90.0), (3_600.0, 300.0)]
)
def test_polls_pause_no_longer_than_a_check_waits_at_most(
    retry_after_s: float | None, pause_s: float
) -> None:
    assert policy.poll_pause_s(retry_after_s, 0.5) == pause_s


def test_slots_go_to_the_least_virtual_time() -> None:
    shares = [Share("a", 3.0), Share("b", 0.0), Share("c", 2.5)]
    assert policy.share_out(shares, 1, {}) == {"a": 0, "b": 1, "c": 0}
    assert policy.share_out(shares, 4, {}) == {"a": 0, "b": 3, "c": 1}


def test_weights_divide_what_a_turn_costs() -> None:
    assert policy.share_out([Share("a", 0.0, 1.0), Share("b", 0.0, 3.0)], 40, {}) == {"a": 10, "b": 30}


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from([0.5, 1.0, 3.0])), max_size=16),
    st.integers(0, 64),
)
def test_every_slot_is_given_to_somebody(tenants: list[tuple[float, float]], slots: int) -> None:
    shares = [Share(f"{n}", time, weight) for n, (time, weight) in enumerate(tenants)]
    assert sum(policy.share_out(shares, slots, {}).values()) == (slots if shares else 0)


def test_a_delivery_is_tried_for_three_days_and_then_dead() -> None:
    hour = 3_600
    pauses = [5, 30, 300, 1_800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour]
    for draw, part in ((0.0, 0.8), (0.5, 1.0), (1.0, 1.2)):
        found = [policy.delivery_in_s(failures, draw) for failures in range(12)]
        assert found == [0, *(pytest.approx(part * pause) for pause in pauses), None]


def test_a_receiver_may_put_its_delivery_off_but_not_forever() -> None:
    assert policy.delivery_in_s(1, 0.5, retry_after_s=60) == 60
    assert policy.delivery_in_s(1, 0.5, retry_after_s=1e9) == 3_600
    assert policy.delivery_in_s(3, 0.5, retry_after_s=1) == 300
