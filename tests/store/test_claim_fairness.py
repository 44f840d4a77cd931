"""Tenants share a lane by weight, whoever asked first and however much they asked for."""

from __future__ import annotations

from collections import Counter

from orchestrator.policy import Limits
from orchestrator.store import batches, lanes, turns
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, T0, TENANT, VIDEO_LANE, add_tenant
from tests.store.bulk import give, running
from tests.store.claiming import add_ready, claim, claimed_ids, end_attempts
from tests.store.rows import lane_of, select


async def test_ready_jobs_of_one_tenant_go_in_the_order_of_their_ids(store: Store) -> None:
    jobs = await add_ready(store, 6)
    assert await claimed_ids(store, slots=2) == [job.id for job in jobs[:2]]
    assert await claimed_ids(store, slots=9) == [job.id for job in jobs[2:]]


async def test_a_lower_number_is_a_higher_priority(store: Store) -> None:
    batch = await add_ready(store, 3, priority=5)
    urgent = await add_ready(store, 2, at=T0 + 100, priority=0)
    assert await claimed_ids(store, slots=3) == sorted(job.id for job in [batch[0], *urgent])


async def test_an_idle_tenant_has_saved_up_no_turns(store: Store) -> None:
    """Half each from the moment that both have jobs, though one was served alone for long."""
    idle = await store.write(add_tenant)
    await add_ready(store, 200)
    for _ in range(3):
        await end_attempts(store, await claim(store, slots=30))
    await add_ready(store, 100, tenant_id=idle)
    served = [one.job.tenant_id for _ in range(10) for one in await claim(store, slots=4)]
    assert Counter(served) == {TENANT: 20, idle: 20}


async def test_tenants_are_served_by_their_weights(store: Store) -> None:
    heavy = await store.write(add_tenant, weight=3.0)
    await add_ready(store, 900)
    await add_ready(store, 900, tenant_id=heavy)
    served: Counter[str] = Counter()
    while served.total() < 1_000:
        claimed = await claim(store, slots=1 + served.total() % 37)
        served.update(one.job.tenant_id for one in claimed)
        await end_attempts(store, claimed)
    assert 0.9 * 3 <= served[heavy] / served[TENANT] <= 1.1 * 3


async def test_slots_that_one_tenant_cannot_use_go_to_the_others(store: Store) -> None:
    small = await store.write(add_tenant)
    await add_ready(store, 2, tenant_id=small)
    await add_ready(store, 100)
    assert Counter(one.job.tenant_id for one in await claim(store, slots=40)) == {small: 2, TENANT: 38}


async def test_more_tenants_than_one_claim_looks_at_are_all_served(store: Store) -> None:
    tenants = [await store.write(add_tenant) for _ in range(3 * turns.MOST_SHARES)]
    for tenant in tenants:
        await add_ready(store, 3, tenant_id=tenant)
    served = Counter([one.job.tenant_id for _ in tenants for one in await claim(store, slots=1)])
    assert served == dict.fromkeys(tenants, 1)


async def test_a_second_priority_gives_a_tenant_no_second_turn(store: Store) -> None:
    other = await store.write(add_tenant)
    for priority in (0, 1, 2):
        await add_ready(store, 20, priority=priority)
    await add_ready(store, 60, tenant_id=other)
    served = Counter([one.job.tenant_id for _ in range(10) for one in await claim(store, slots=4)])
    assert served == {TENANT: 20, other: 20}


async def test_a_claim_of_every_slot_moves_the_lanes_time_on(store: Store) -> None:
    await add_ready(store, 50)
    await claim(store, slots=20)
    await claim(store, slots=20)
    times = await select(store, "SELECT virtual_time FROM lanes WHERE id = :id", id=IMAGE_LANE)
    assert times == [(40.0,)]


async def test_videos_get_their_turn_where_images_would_take_every_slot(store: Store) -> None:
    limits = Limits(image_per_minute=60_000, video_per_minute=600, max_in_flight=2)
    await store.write(lanes.ensure_account, account_id=ACCOUNT, provider="wavespeed", limits=limits, now=T0)
    await add_ready(store, 30)
    running = await claim(store)
    await add_ready(store, 5, lane_id=VIDEO_LANE, media="video")
    served = []
    for second in range(1, 9):
        await end_attempts(store, [running.pop(0)])
        running += await claim(store, now=T0 + 1_000 * second)
        served.append(running[-1].job.media)
    assert Counter(served) == {"image": 4, "video": 4}


async def virtual_times(store: Store) -> dict[str, float]:
    return dict(
        await select(store, "SELECT tenant_id, virtual_time FROM shares WHERE lane_id = 'wavespeed/image'")
    )


async def test_jobs_that_a_claim_holds_for_their_paused_batch_cost_their_tenant_no_turn(store: Store) -> None:
    batch = await running(store, 2)
    await give(store, batch, batches.PAUSE)
    other = await store.write(add_tenant)
    await add_ready(store, 2, tenant_id=other)
    assert len(await claim(store, slots=4)) == 2
    times = await virtual_times(store)
    assert (times[TENANT], times[other]) == (0.0, 2.0)


async def test_a_claim_that_only_holds_jobs_costs_no_token_and_lets_the_next_tenant_come(
    store: Store,
) -> None:
    batch = await running(store, 3)
    await give(store, batch, batches.PAUSE)
    other = await store.write(add_tenant)
    (job,) = await add_ready(store, 1, tenant_id=other)
    before = (await lane_of(store)).tokens
    assert await claimed_ids(store, slots=1) == []
    assert (await lane_of(store)).tokens == before
    assert await claimed_ids(store, slots=1) == [job.id]
