"""Jobs are stored whole, and an Idempotency-Key stands for one job for good."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from orchestrator.job import Phase
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from orchestrator.store.trouble import RowRefused
from tests.factories import IMAGE_LANE, TENANT, VIDEO_LANE, SetClock, add_tenant, make_creation, make_job
from tests.store import decisions
from tests.store.rows import count, job_of, select


async def test_a_job_is_stored_with_its_input_its_event_and_its_share(store: Store) -> None:
    creation = make_creation(make_job(webhook="https://user.example/hook", start_by=5, finish_by=6))
    created = await store.create(creation)
    assert (created.job, created.is_replay, created.is_conflict) == (creation.job, False, False)
    assert await job_of(store, creation.job.id) == creation.job
    assert await select(store, "SELECT input, ending FROM documents") == [('{"prompt":"a cat"}', None)]
    events = await select(store, "SELECT job_id, tenant_id, verb, from_phase, to_phase, attempt FROM events")
    assert events == [(creation.job.id, TENANT, "create", None, "ready", 0)]
    assert await select(store, "SELECT lane_id, tenant_id, priority, ready_from FROM shares") == [
        (creation.job.lane_id, TENANT, 0, "")
    ]


async def test_a_group_of_jobs_is_stored_and_each_caller_gets_its_own(store: Store) -> None:
    creations = [make_creation(make_job(priority=n % 2)) for n in range(50)]
    created = await asyncio.gather(*(store.create(creation) for creation in creations))
    assert [one.job.id for one in created] == [creation.job.id for creation in creations]
    assert await count(store, "jobs") == await count(store, "events") == 50
    assert await count(store, "shares") == 2


async def test_the_same_key_and_request_give_the_first_job_again(store: Store) -> None:
    first = await store.create(make_creation(key="k"))
    again = await store.create(make_creation(key="k"))
    assert again.is_replay
    assert not again.is_conflict
    assert again.job == first.job
    assert await count(store, "jobs") == await count(store, "events") == await count(store, "documents") == 1


async def test_a_replay_shows_what_became_of_the_job(store: Store) -> None:
    first = await store.create(make_creation(make_job(Phase.HELD), key="k"))
    await store.change(first.job.id, decisions.release, source="client")
    again = await store.create(make_creation(key="k"))
    assert again.job.phase == Phase.READY


async def test_the_same_key_for_another_request_is_a_conflict(store: Store) -> None:
    await store.create(make_creation(key="k", request="a"))
    other = await store.create(make_creation(key="k", request="b"))
    assert other.is_conflict
    assert not other.is_replay
    assert await count(store, "jobs") == 1


async def test_the_same_key_of_two_tenants_is_two_keys(store: Store) -> None:
    other = await store.write(add_tenant)
    await store.create(make_creation(key="k"))
    created = await store.create(make_creation(make_job(tenant_id=other), key="k"))
    assert not created.is_replay
    assert await count(store, "jobs") == 2


async def test_one_key_twice_in_one_group_is_one_job(store: Store) -> None:
    first, second, third = await asyncio.gather(
        store.create(make_creation(key="k")),
        store.create(make_creation(key="k")),
        store.create(make_creation(key="k", request="b")),
    )
    assert (first.is_replay, second.is_replay, third.is_conflict) == (False, True, True)
    assert second.job == first.job
    assert await count(store, "jobs") == 1


async def test_one_key_in_two_transactions_at_once_is_one_job(postgres: Database) -> None:
    stores = [Store(postgres, SetClock()) for _ in range(6)]
    for round_ in range(5):
        keys = [f"{round_}-{n}" for n in range(20)]
        created = await asyncio.gather(
            *(store.create(make_creation(key=key)) for store in stores for key in keys)
        )
        assert len({one.job.id for one in created}) == len(keys)
        assert sum(not one.is_replay for one in created) == len(keys)
        assert await count(stores[0], "jobs") == len(keys) * (round_ + 1)


async def test_a_conflict_on_another_lane_does_not_hide_that_lane(store: Store) -> None:
    await store.create(make_creation(key="k", request="a"))
    await store.create(make_creation(make_job(lane_id=VIDEO_LANE, media="video"), key="k", request="b"))
    await store.create(make_creation(make_job(lane_id=VIDEO_LANE, media="video")))
    assert await select(store, "SELECT lane_id FROM shares ORDER BY lane_id") == [
        (IMAGE_LANE,),
        (VIDEO_LANE,),
    ]


async def test_a_refused_creation_does_not_hide_its_lane(store: Store) -> None:
    """The share is written with the job, so a store that knows shares must forget those of a failed group."""
    job = make_job()
    await store.create(make_creation(job))
    video = replace(make_job(lane_id=VIDEO_LANE), id=job.id)
    with pytest.raises(RowRefused):
        await store.create(make_creation(video))
    await store.create(make_creation(make_job(lane_id=VIDEO_LANE)))
    assert await count(store, "shares") == 2
