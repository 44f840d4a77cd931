"""Questions to the provider have a budget of their own, which all workers share and no submission touches."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator import policy
from orchestrator.job import Job, Phase
from orchestrator.policy import TIERS
from orchestrator.store import checks, lanes, polls
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, T0, SetClock, stored_job
from tests.store.rows import execute, lane_of

BURST = 6  # of the 120 a minute that the smallest account may ask


async def due_jobs(store: Store, count: int) -> list[Job]:
    """Jobs of an account of the lowest level, all to be asked about at T0."""
    await store.write(
        lanes.ensure_account, account_id=ACCOUNT, provider="wavespeed", limits=TIERS["bronze"], now=T0
    )
    jobs = [await stored_job(store, Phase.ACCEPTED) for _ in range(count)]
    await execute(store, "UPDATE attempts SET check_at = :at", at=T0)
    return jobs


async def take(store: Store, *, now: int = T0, most: int = 50) -> list[str]:
    found = await store.write(checks.take_due_checks, account_id=ACCOUNT, now=now, most=most)
    return [check.job.id for check in found]


async def throttle(store: Store, pause_s: float) -> None:
    await store.write(polls.throttle_polls, account_id=ACCOUNT, pause_s=pause_s, now=T0)


async def test_no_more_is_asked_than_the_budget_allows_and_the_rest_stays_due(store: Store) -> None:
    jobs = await due_jobs(store, 20)
    first = await take(store)
    assert len(first) == BURST
    assert await take(store) == []
    later = [await take(store, now=T0 + 1_000 * second) for second in range(1, 9)]
    assert sorted(sum(later, first)) == sorted(job.id for job in jobs)


async def test_workers_share_the_budget(postgres: Database) -> None:
    stores = [Store(postgres, SetClock()) for _ in range(4)]
    await due_jobs(stores[0], 40)
    taken = await asyncio.gather(*(take(store, most=5) for store in stores for _ in range(3)))
    assert sum(map(len, taken)) == BURST


async def test_a_429_to_a_poll_puts_off_the_polls_and_no_submission(store: Store) -> None:
    await due_jobs(store, 20)
    await throttle(store, pause_s=30)
    assert await take(store, now=T0 + 29_999) == []
    assert (await lane_of(store)).paused_until == 0
    assert (await lane_of(store)).factor == 1.0
    assert await take(store, now=T0 + 60_000) != []


async def test_after_a_429_polls_come_back_at_half_the_rate(store: Store) -> None:
    await due_jobs(store, 20)
    await throttle(store, pause_s=1)
    rate = policy.rate_per_s(TIERS["bronze"].polls_per_minute)
    assert len(await take(store, now=T0 + 3_000)) == int(3 * rate / 2 * 2**0.05) < int(3 * rate)


async def test_a_question_out_of_turn_is_paid_from_the_same_budget(store: Store) -> None:
    await due_jobs(store, 20)
    asked = [await store.write(polls.take_polls, account_id=ACCOUNT, most=1, now=T0) for _ in range(8)]
    assert sum(asked) == BURST
    assert await take(store) == []


async def test_the_lane_of_polls_is_none_of_submissions(store: Store) -> None:
    assert IMAGE_LANE in [lane.id for lane in await store.read(lanes.read_lanes)]
    assert all(lane.media != lanes.POLLS for lane in await store.read(lanes.read_lanes))


@pytest.mark.parametrize(
    ("tier", "per_minute"), [("bronze", 120), ("silver", 1_120), ("gold", 7_200), ("ultra", 20_000)]
)
def test_a_larger_account_may_ask_more(tier: str, per_minute: int) -> None:
    assert TIERS[tier].polls_per_minute == per_minute


async def test_what_was_asked_already_is_paid_for_before_anybody_asks_again(store: Store) -> None:
    """Such as the pages of a long history: 240 of them are two minutes' budget."""
    await due_jobs(store, 20)
    await store.write(polls.pay_polls, account_id=ACCOUNT, count=240, now=T0)
    assert await take(store, now=T0 + 60_000) == []
    assert await take(store, now=T0 + 115_000) == []
    assert len(await take(store, now=T0 + 140_000)) == BURST
