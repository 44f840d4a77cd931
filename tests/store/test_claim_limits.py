"""A claim never takes more than the account, the lane's rate and the worker allow."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator import policy
from orchestrator.decision import Decision
from orchestrator.job import Attempt, Job, Phase
from orchestrator.policy import LEASE_MS
from orchestrator.store import claims, lane_clocks, lane_signals, lanes
from orchestrator.store.database import database_now
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, T0, VIDEO_LANE, make_attempt, stored_job
from tests.store.claiming import add_ready, claim, end_attempts, set_lane, set_limits
from tests.store.rows import attempt_of, execute, job_of, lane_of, select


async def test_a_claim_leases_the_job_and_opens_an_attempt(store: Store) -> None:
    job = (await add_ready(store, 1))[0]
    (claimed,) = await claim(store)
    assert claimed.input == "{}"
    assert claimed.job == await job_of(store, job.id)
    opened = make_attempt(claimed.job, claimed_at=T0, check_at=T0 + LEASE_MS + 60_000)
    assert claimed.attempt == await attempt_of(store, job.id) == opened
    assert (claimed.job.phase, claimed.job.lease_owner) == (Phase.SUBMITTING, "worker-1")
    assert (claimed.job.attempt, claimed.job.due_at, claimed.job.started_at) == (1, T0 + LEASE_MS, T0)
    events = await select(store, "SELECT verb, from_phase, to_phase, attempt, source FROM events")
    assert events == [("claim", "ready", "submitting", 1, "worker")]


async def test_nothing_ready_is_nothing_claimed(store: Store) -> None:
    for phase in Phase:
        if phase != Phase.READY:
            await stored_job(store, phase)
    assert await claim(store) == []


async def test_a_claim_takes_no_more_than_the_workers_slots(store: Store) -> None:
    await add_ready(store, 10)
    assert len(await claim(store, slots=3)) == 3
    assert await claim(store, slots=0) == []


async def test_open_attempts_take_slots_even_when_their_job_has_ended(store: Store) -> None:
    await set_limits(store, max_in_flight=5)
    await add_ready(store, 10)
    first = await claim(store, slots=2)
    await execute(
        store,
        "UPDATE jobs SET phase = 'failed', reason = 'expired', finished_at = 1, lease_owner = NULL,"
        " due_at = NULL WHERE id = :id",
        id=first[0].job.id,
    )
    assert len(await claim(store)) == 3
    assert await claim(store) == []
    assert await store.read(claims.is_account_full, account_id=ACCOUNT)
    await end_attempts(store, first)
    assert len(await claim(store)) == 2


async def test_attempts_that_have_ended_are_left_behind(store: Store) -> None:
    await set_limits(store, max_in_flight=2)
    await add_ready(store, 10)
    (first,) = await claim(store, slots=1, now=T0)
    await end_attempts(store, [first])
    (second,) = await claim(store, slots=1, now=T0 + 60_000)
    assert await open_from(store) == T0 + 60_000
    assert len(await claim(store, now=T0 + 120_000)) == 1
    assert await open_from(store) == second.attempt.claimed_at
    assert await claim(store, now=T0 + 180_000) == []


async def test_the_attempt_of_a_worker_whose_clock_is_late_takes_a_slot(store: Store) -> None:
    await set_limits(store, max_in_flight=3)
    await add_ready(store, 10)
    await claim(store, slots=1, now=T0 + 60_000)
    await claim(store, slots=1, now=T0 + 57_000)
    assert len(await claim(store, now=T0 + 61_000)) == 1
    assert await store.read(claims.is_account_full, account_id=ACCOUNT)


async def test_an_old_attempt_that_is_open_again_takes_a_slot_again(store: Store) -> None:
    await set_limits(store, max_in_flight=2)
    await add_ready(store, 10)
    (old,) = await claim(store, slots=1, now=T0)
    await end_attempts(store, [old])
    await claim(store, slots=1, now=T0 + 60_000)

    def reopen(_job: Job, attempt: Attempt | None) -> Decision:
        assert attempt is not None
        return Decision(note="open again", attempt=replace(attempt, ended_at=None))

    await store.change(old.job.id, reopen, source="worker", attempt=1)
    assert await claim(store, now=T0 + 61_000) == []


async def open_from(store: Store) -> int:
    return int((await select(store, "SELECT open_from FROM accounts"))[0][0])


async def test_more_open_attempts_than_the_limit_claim_nothing(store: Store) -> None:
    await add_ready(store, 10)
    await claim(store, slots=5)
    await set_limits(store, max_in_flight=2)
    assert await claim(store) == []


async def test_slots_are_shared_by_the_accounts_lanes(store: Store) -> None:
    await set_limits(store, max_in_flight=5)
    await add_ready(store, 4)
    await add_ready(store, 4, lane_id=VIDEO_LANE, media="video")
    assert [one.job.lane_id for one in await claim(store)] == [IMAGE_LANE] * 4 + [VIDEO_LANE]


async def test_a_burst_is_followed_by_the_rate(store: Store) -> None:
    await set_limits(store, per_minute=100)
    await add_ready(store, 50)
    assert len(await claim(store)) == 5
    assert await claim(store) == []
    assert await claim(store, now=T0 + 600) == []
    assert len(await claim(store, now=T0 + 700)) == 1
    assert len(await claim(store, now=T0 + 600_000)) == 5


async def test_a_clock_that_steps_back_gives_no_tokens(store: Store) -> None:
    await set_limits(store, per_minute=100)
    await add_ready(store, 50)
    await claim(store)
    assert await claim(store, now=T0 - 400_000) == []
    assert await claim(store, now=T0 + 1) == []


async def test_a_lane_that_was_claimed_by_a_clock_that_ran_ahead_goes_on_at_its_rate(store: Store) -> None:
    now = await store.read(database_now)
    await set_limits(store, per_minute=100)
    await add_ready(store, 50)
    assert len(await claim(store, slots=3, now=now + 400_000)) == 3
    ahead = await store.read(lane_clocks.are_ahead)
    assert ahead == [IMAGE_LANE]
    await store.write(lane_clocks.put_right, lanes=ahead)
    now = (await lane_of(store)).tokens_at
    assert await claim(store, now=now + 600) == []
    assert len(await claim(store, now=now + 700)) == 1


async def test_a_clock_that_is_late_does_not_fill_a_lane_twice(store: Store) -> None:
    now = await store.read(database_now)
    await set_limits(store, per_minute=100)
    await add_ready(store, 50)
    assert len(await claim(store, now=now)) == 5
    assert await store.read(lane_clocks.are_ahead) == []
    assert await claim(store, now=now - 400_000) == []
    assert await claim(store, now=now) == []


async def test_a_budget_of_polls_that_was_taken_ahead_of_time_is_put_right_too(store: Store) -> None:
    polls = lanes.lane_id(ACCOUNT, lanes.POLLS)
    later = await store.read(database_now) + 400_000
    await execute(store, "UPDATE lanes SET tokens_at = :later, factor_at = :later", later=later)
    ahead = await store.read(lane_clocks.are_ahead)
    assert polls in ahead
    await store.write(lane_clocks.put_right, lanes=ahead)
    assert await store.read(lane_clocks.are_ahead) == []
    assert (await lane_of(store)).factor_at < later


async def test_an_idle_lane_saves_no_more_than_its_burst(store: Store) -> None:
    await set_limits(store, per_minute=100)
    await add_ready(store, 50)
    assert len(await claim(store, now=T0 + 86_400_000)) == 5


async def test_a_paused_lane_waits_and_the_other_goes_on(store: Store) -> None:
    await add_ready(store, 1)
    video = await add_ready(store, 1, lane_id=VIDEO_LANE, media="video")
    await set_lane(store, paused_until=T0 + 1_000)
    assert [one.job.id for one in await claim(store)] == [video[0].id]
    assert await claim(store, now=T0 + 999) == []
    assert len(await claim(store, now=T0 + 1_000)) == 1


async def test_a_half_open_breaker_sends_one_and_waits_for_its_answer(store: Store) -> None:
    await add_ready(store, 5)
    await set_lane(store, failures=policy.BREAKER_AT, paused_until=T0)
    assert len(await claim(store)) == 1
    assert await claim(store) == []
    assert (await lane_of(store)).paused_until == T0 + policy.BREAKER_MS
    assert len(await claim(store, now=T0 + policy.BREAKER_MS)) == 1


async def test_an_account_in_trouble_sends_nothing(store: Store) -> None:
    await add_ready(store, 5)
    await execute(store, "UPDATE accounts SET trouble = 'no credit', trouble_at = 1")
    assert await claim(store) == []
    await store.write(lane_signals.clear_trouble, account_id=ACCOUNT)
    assert len(await claim(store)) == 5


async def test_a_job_that_may_be_poison_is_claimed_alone_by_an_idle_worker(store: Store) -> None:
    suspects = await add_ready(store, 2, lost_leases=policy.SOLO_AFTER_LOST_LEASES)
    await add_ready(store, 3, at=T0 + 100, lost_leases=policy.SOLO_AFTER_LOST_LEASES - 1)
    assert await claim(store, is_idle=False) == []
    (alone,) = await claim(store)
    assert alone.job.id == suspects[0].id
    assert alone.attempt.is_solo
    assert (await attempt_of(store, alone.job.id)).is_solo


async def test_a_solo_claim_is_not_joined_by_another_lane(store: Store) -> None:
    await add_ready(store, 1, lost_leases=policy.SOLO_AFTER_LOST_LEASES)
    await add_ready(store, 1, lane_id=VIDEO_LANE, media="video")
    assert [one.attempt.is_solo for one in await claim(store)] == [True]


async def test_a_suspect_on_the_second_lane_does_not_join_the_first(store: Store) -> None:
    await add_ready(store, 1)
    await add_ready(store, 1, lane_id=VIDEO_LANE, media="video", lost_leases=policy.SOLO_AFTER_LOST_LEASES)
    assert [one.job.lane_id for one in await claim(store)] == [IMAGE_LANE]


async def test_a_suspect_lets_a_busy_worker_claim_from_no_other_lane(store: Store) -> None:
    await add_ready(store, 1, lost_leases=policy.SOLO_AFTER_LOST_LEASES)
    await add_ready(store, 5, lane_id=VIDEO_LANE, media="video")
    assert await claim(store, is_idle=False) == []
    (alone,) = await claim(store)
    assert alone.attempt.is_solo
