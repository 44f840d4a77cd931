"""What answers say of a lane: the breaker, the pause after a 429, the account, and whether callbacks come."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator import policy
from orchestrator.decision import Signal
from orchestrator.job import Phase
from orchestrator.policy import Limits
from orchestrator.store import lane_orders, lane_signals, lanes
from orchestrator.store.lanes import Account
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, T0, VIDEO_LANE, SetClock, stored_job
from tests.store.decisions import signalling
from tests.store.rows import lane_of


async def signal(store: Store, *kinds: Signal, pause_s: float = 0.0, at: int = T0) -> None:
    """One settled answer that says this of its lane."""
    assert isinstance(store.clock, SetClock)
    store.clock.at = at
    job = await stored_job(store, Phase.ACCEPTED)
    await store.change(job.id, signalling(*kinds, pause_s=pause_s), source="answer")


async def account_of(store: Store) -> Account:
    return (await store.read(lanes.read_accounts))[0]


async def test_five_failures_in_a_row_open_the_breaker(store: Store) -> None:
    for count in range(1, policy.BREAKER_AT):
        await signal(store, Signal.FAILING)
        lane = await lane_of(store)
        assert (lane.failures, lane.paused_until, lane.is_half_open) == (count, 0, False)
    await signal(store, Signal.FAILING)
    lane = await lane_of(store)
    assert (lane.paused_until, lane.is_half_open) == (T0 + policy.BREAKER_MS, True)
    assert lane.pause_reason == "The provider keeps failing: in trouble"
    assert (await lane_of(store, VIDEO_LANE)).failures == 0


async def test_failures_of_one_group_are_all_counted(store: Store) -> None:
    jobs = [await stored_job(store, Phase.ACCEPTED) for _ in range(7)]
    await asyncio.gather(*(store.change(job.id, signalling(Signal.FAILING), source="answer") for job in jobs))
    assert (await lane_of(store)).failures == 7


async def test_a_healthy_answer_starts_the_count_again(store: Store) -> None:
    for _ in range(policy.BREAKER_AT - 1):
        await signal(store, Signal.FAILING)
    await signal(store, Signal.HEALTHY)
    await signal(store, Signal.FAILING)
    assert (await lane_of(store)).failures == 1


async def test_a_healthy_answer_closes_the_breaker(store: Store) -> None:
    for _ in range(policy.BREAKER_AT):
        await signal(store, Signal.FAILING)
    await signal(store, Signal.HEALTHY)
    lane = await lane_of(store)
    assert (lane.failures, lane.paused_until, lane.is_half_open) == (0, 0, False)


async def test_a_healthy_answer_does_not_lift_the_pause_of_a_429(store: Store) -> None:
    await signal(store, Signal.FAILING)
    await signal(store, Signal.THROTTLED, pause_s=30)
    await signal(store, Signal.HEALTHY)
    assert (await lane_of(store)).paused_until == T0 + 30_000


async def test_the_breakers_pause_does_not_cut_the_one_that_a_429_asked_for(store: Store) -> None:
    await signal(store, Signal.THROTTLED, pause_s=60)
    for _ in range(policy.BREAKER_AT):
        await signal(store, Signal.FAILING)
    lane = await lane_of(store)
    assert (lane.failures, lane.paused_until) == (policy.BREAKER_AT, T0 + 60_000)


async def test_the_probe_of_an_open_breaker_that_fails_keeps_it_open(store: Store) -> None:
    for _ in range(policy.BREAKER_AT):
        await signal(store, Signal.FAILING)
    await signal(store, Signal.FAILING, at=T0 + 16_000)
    assert (await lane_of(store)).paused_until == T0 + 16_000 + policy.BREAKER_MS


async def test_a_429_pauses_the_lane_empties_it_and_halves_its_rate(store: Store) -> None:
    await signal(store, Signal.THROTTLED, pause_s=2.5)
    lane = await lane_of(store)
    assert (lane.paused_until, lane.factor, lane.factor_at, lane.tokens) == (T0 + 2_500, 0.5, T0, 0.0)
    assert lane.pause_reason == "The provider says that this account sends too fast (429)."
    assert (await lane_of(store, VIDEO_LANE)).paused_until == 0


async def test_a_burst_of_429s_halves_the_rate_once(store: Store) -> None:
    jobs = [await stored_job(store, Phase.ACCEPTED) for _ in range(20)]
    await asyncio.gather(
        *(store.change(job.id, signalling(Signal.THROTTLED, pause_s=2), source="answer") for job in jobs)
    )
    await signal(store, Signal.THROTTLED, pause_s=9, at=T0 + 1_000)
    lane = await lane_of(store)
    assert (lane.factor, lane.paused_until) == (0.5, T0 + 10_000)


async def test_a_429_after_the_pause_halves_again_what_has_climbed_back(store: Store) -> None:
    await signal(store, Signal.THROTTLED, pause_s=2)
    await signal(store, Signal.THROTTLED, pause_s=2, at=T0 + 30_000)
    assert (await lane_of(store)).factor == pytest.approx(0.5 * 2**0.5 / 2)
    assert policy.climbed((await lane_of(store)).bucket, T0 + 30_000 + 180_000) == 1.0


async def test_a_shorter_pause_does_not_cut_a_longer_one(store: Store) -> None:
    await signal(store, Signal.THROTTLED, pause_s=60)
    await signal(store, Signal.THROTTLED, pause_s=2)
    assert (await lane_of(store)).paused_until == T0 + 60_000


async def test_trouble_of_the_account_is_kept_with_its_first_words(store: Store) -> None:
    await signal(store, Signal.ACCOUNT)
    await signal(store, Signal.ACCOUNT, at=T0 + 5_000)
    account = await account_of(store)
    assert (account.trouble, account.trouble_at, account.checked_at) == ("in trouble", T0, T0)


async def test_an_account_that_may_be_in_trouble_is_checked_at_once(store: Store) -> None:
    await signal(store, Signal.ACCOUNT_UNSURE)
    account = await account_of(store)
    assert (account.trouble, account.trouble_at, account.checked_at) == ("in trouble", T0, 0)
    assert await store.write(lane_signals.take_account_check, account_id=ACCOUNT, now=T0, every_ms=60_000)


async def test_an_account_in_trouble_is_checked_by_one_caller_a_minute(store: Store) -> None:
    async def take(now: int) -> bool:
        return await store.write(
            lane_signals.take_account_check, account_id=ACCOUNT, now=now, every_ms=60_000
        )

    assert not await take(T0 + 60_000)
    await signal(store, Signal.ACCOUNT)
    assert not await take(T0 + 59_999)
    assert sorted(await asyncio.gather(*(take(T0 + 60_000) for _ in range(4)))) == [False] * 3 + [True]
    await store.write(lane_signals.clear_trouble, account_id=ACCOUNT)
    assert not await take(T0 + 900_000)
    assert (await account_of(store)).trouble is None


async def test_a_lane_is_pushed_until_a_poll_finds_what_a_callback_should_have_told(store: Store) -> None:
    assert (await lane_of(store)).is_pushed
    await signal(store, Signal.FOUND_BY_POLL)
    assert not (await lane_of(store)).is_pushed
    await signal(store, Signal.CALLED_BACK, at=T0 + 10_000)
    assert (await lane_of(store)).is_pushed


async def test_signals_of_every_second_are_written_once(store: Store) -> None:
    await signal(store, Signal.CALLED_BACK)
    await signal(store, Signal.CALLED_BACK, at=T0 + 900)
    assert (await lane_of(store)).callback_at == T0
    await signal(store, Signal.CALLED_BACK, at=T0 + 1_100)
    assert (await lane_of(store)).callback_at == T0 + 1_100


async def test_new_limits_apply_at_once_and_give_no_new_burst(store: Store) -> None:
    limits = Limits(image_per_minute=100, video_per_minute=40, max_in_flight=7)
    await store.write(
        lanes.ensure_account, account_id=ACCOUNT, provider="wavespeed", limits=limits, now=T0 + 1
    )
    lane = await lane_of(store)
    assert (lane.per_minute, lane.tokens, (await account_of(store)).max_in_flight) == (100, 5.0, 7)
    generous = Limits(image_per_minute=5_000, video_per_minute=40, max_in_flight=7)
    await store.write(
        lanes.ensure_account, account_id=ACCOUNT, provider="wavespeed", limits=generous, now=T0 + 1
    )
    assert (await lane_of(store)).tokens == 5.0


async def test_lanes_are_named_for_account_and_media(store: Store) -> None:
    assert [lane.id for lane in await store.read(lanes.read_lanes)] == [IMAGE_LANE, VIDEO_LANE]


async def test_a_straggler_that_is_healthy_lifts_no_pause_of_a_429_though_the_breaker_counted_five(
    store: Store,
) -> None:
    for _ in range(policy.BREAKER_AT):
        await signal(store, Signal.FAILING)
    await signal(store, Signal.THROTTLED, pause_s=60.0)
    await signal(store, Signal.HEALTHY)
    assert (await lane_of(store)).paused_until == T0 + 60_000


async def test_what_an_operator_has_set_is_not_changed_by_the_settings_of_the_next_start(
    store: Store,
) -> None:
    await store.write(lane_orders.set_rate, lane=IMAGE_LANE, per_minute=7, is_fixed=True)
    await store.write(lane_orders.set_slots, account=ACCOUNT, max_in_flight=9, is_fixed=True)
    limits = Limits(image_per_minute=100, video_per_minute=40, max_in_flight=50)
    start = {"account_id": ACCOUNT, "provider": "wavespeed", "limits": limits, "now": T0 + 1}
    await store.write(lanes.ensure_account, **start)
    assert ((await lane_of(store)).per_minute, (await account_of(store)).max_in_flight) == (7, 9)
    assert (await lane_of(store, VIDEO_LANE)).per_minute == 40
    await store.write(lane_orders.set_rate, lane=IMAGE_LANE, per_minute=7, is_fixed=False)
    await store.write(lanes.ensure_account, **start)
    assert (await lane_of(store)).per_minute == 100


async def test_a_higher_rate_gives_no_burst_at_once_and_a_lower_one_takes_it(store: Store) -> None:
    before = (await lane_of(store)).tokens
    await store.write(lane_orders.set_rate, lane=IMAGE_LANE, per_minute=100_000, is_fixed=True)
    assert (await lane_of(store)).tokens == before
    await store.write(lane_orders.set_rate, lane=IMAGE_LANE, per_minute=1, is_fixed=True)
    assert (await lane_of(store)).tokens == 1.0


async def test_an_operators_pause_and_the_providers_do_not_touch_each_other(store: Store) -> None:
    await store.write(lane_orders.stop_lane, lane=IMAGE_LANE, until=T0 + 60_000, because="a test")
    for _ in range(policy.BREAKER_AT):
        await signal(store, Signal.FAILING)
    await signal(store, Signal.HEALTHY)
    lane = await lane_of(store)
    assert (lane.paused_until, lane.closed_until, lane.stop_reason) == (0, T0 + 60_000, "a test")
    await signal(store, Signal.THROTTLED, pause_s=2)
    await store.write(lane_orders.resume_lane, lane=IMAGE_LANE)
    lane = await lane_of(store)
    assert (lane.closed_until, lane.stop_reason) == (T0 + 2_000, None)
