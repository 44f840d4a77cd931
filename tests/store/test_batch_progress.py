"""What is asked of a running batch: a sample of its lanes, and why its jobs wait."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.clock import DAY
from orchestrator.store import batch_progress, batches
from orchestrator.store.batch_progress import Outlook
from orchestrator.store.batches import Batch
from orchestrator.store.store import Store
from tests.factories import IMAGE_LANE, T0, TENANT, VIDEO_LANE, add_tenant, make_id
from tests.store import bulk
from tests.store.claiming import add_ready, claim
from tests.store.rows import execute

CLOSE = "UPDATE lanes SET paused_until = :later, pause_reason = id"


async def outlook(store: Store, batch: Batch) -> Outlook:
    return await store.read(batch_progress.read, batch=await bulk.batch_of(store, batch), now=T0)


async def test_the_sample_is_of_lines_all_over_the_batch(store: Store) -> None:
    batch = await bulk.running(store, 900)
    late = "UPDATE jobs SET lane_id = :lane WHERE batch_id = :id AND line > 600"
    await execute(store, late, id=batch.id, lane=VIDEO_LANE)
    sample = (await outlook(store, batch)).by_lane
    assert sample == {IMAGE_LANE: 120, VIDEO_LANE: 60}


async def test_a_small_batch_is_its_own_sample(store: Store) -> None:
    batch = await bulk.running(store, 3)
    assert (await outlook(store, batch)).by_lane.total() == 3


async def test_the_sample_meets_jobs_that_stand_in_every_second_line_only(store: Store) -> None:
    batch = await bulk.running(store, 400)
    await execute(store, "UPDATE jobs SET line = -2 * line WHERE batch_id = :id", id=batch.id)
    await execute(store, "UPDATE jobs SET line = -line WHERE batch_id = :id", id=batch.id)
    assert (await outlook(store, batch)).by_lane == {IMAGE_LANE: 100}


async def test_older_jobs_of_its_tenant_go_before_it_and_those_of_others_do_not_count(store: Store) -> None:
    old, new = T0 - DAY, T0 + DAY
    await add_ready(store, 3, at=old)
    await add_ready(store, 2, at=old, tenant_id=await store.write(add_tenant, tenant_id=make_id()))
    await add_ready(store, 4, at=old, priority=7)
    batch = await bulk.running(store, 2)
    await add_ready(store, 5, at=new)
    assert (await outlook(store, batch)).ahead == {IMAGE_LANE: 3}


async def test_before_a_batch_whose_jobs_are_sent_nothing_goes(store: Store) -> None:
    batch = await bulk.running(store, 2)
    await claim(store, slots=2)
    await add_ready(store, 3)
    assert (await outlook(store, batch)).ahead.total() == 0


async def test_a_closed_lane_is_a_reason_only_where_jobs_wait_for_it(store: Store) -> None:
    batch = await bulk.running(store, 2)
    await execute(store, CLOSE, later=T0 + 1_000)
    assert (await outlook(store, batch)).reasons == [IMAGE_LANE]


async def test_jobs_that_have_been_sent_wait_for_no_lane(store: Store) -> None:
    batch = await bulk.running(store, 2)
    await claim(store, slots=2)
    await execute(store, CLOSE, later=T0 + 1_000)
    assert (await outlook(store, batch)).reasons == []


async def test_while_none_may_start_that_is_the_reason_and_the_last_start_is_known(store: Store) -> None:
    batch = await bulk.running(store, 3)
    await execute(store, f"UPDATE jobs SET not_before = {T0} + line WHERE batch_id = :id", id=batch.id)
    found = await outlook(store, batch)
    assert (found.reasons, found.last_start) == (["None may start before 2023-11-14T22:13:20.001Z."], T0 + 3)
    await execute(store, "UPDATE jobs SET not_before = NULL WHERE line = 2")
    found = await outlook(store, batch)
    assert (found.reasons, found.last_start) == ([], T0 + 3)


DONE = "UPDATE jobs SET phase = 'completed', accepted_at = :begin, finished_at = :end WHERE line = :line"
MINUTE = 60_000


@pytest.mark.parametrize(
    ("spans", "worked_ms"),
    [
        pytest.param([], 0, id="nothing was sent"),
        pytest.param([(-9, -5), (-9, -4), (-7, 0)], 9, id="some at a time, from the first on"),
        pytest.param([(-9, -8), (-6, -5), (-3, -2)], 9, id="now and then"),
        pytest.param([(-MINUTE - 9, -MINUTE - 3), (-MINUTE - 7, -MINUTE - 2), (-5, 0)], 12, id="paused"),
        pytest.param(
            [(-9 * MINUTE - 2, -9 * MINUTE), (-9 * MINUTE - 1, -5 * MINUTE), (-3, -1), (-2, 0)],
            4 * MINUTE + 5,
            id="retried",
        ),
    ],
)
async def test_a_batch_has_worked_but_for_silences_that_are_far_longer_than_is_usual(
    store: Store, spans: list[tuple[int, int]], worked_ms: int
) -> None:
    batch = await bulk.running(store, 10)
    for line, (begin, end) in enumerate(spans, start=1):
        await execute(store, DONE, line=line, begin=T0 + begin, end=T0 + end)
    assert (await outlook(store, batch)).worked_ms == worked_ms


async def test_a_batch_works_while_a_job_of_it_is_at_the_provider(store: Store) -> None:
    batch = await bulk.running(store, 10)
    accepted = "UPDATE jobs SET phase = 'accepted', accepted_at = :begin WHERE line = 3"
    await execute(store, accepted, begin=T0 - MINUTE)
    assert (await outlook(store, batch)).worked_ms == MINUTE


@pytest.mark.parametrize("limit", [0, 1, None])
async def test_a_tenant_that_may_have_no_job_at_the_provider_is_the_reason_while_any_waits(
    store: Store, limit: int | None
) -> None:
    batch = await bulk.running(store, 2)
    await execute(store, "UPDATE tenants SET max_in_flight = :limit WHERE id = :id", limit=limit, id=TENANT)
    expected = ["Its tenant may have no job at the provider (max_in_flight is 0)."] if limit == 0 else []
    found = await outlook(store, batch)
    assert (found.reasons, found.is_stopped) == (expected, limit == 0)
    await execute(store, "UPDATE jobs SET phase = 'accepted', attempt = 1")
    await execute(store, "UPDATE batches SET created = 0, processing = 2")
    found = await outlook(store, batch)
    assert (found.reasons, found.is_stopped) == ([], False)


@pytest.mark.parametrize("phase", ["ready", "waiting", "accepted"])
async def test_one_that_waits_in_a_large_batch_is_heard_of_wherever_it_stands(
    store: Store, phase: str
) -> None:
    batch = await bulk.running(store, 900)
    others = "UPDATE jobs SET phase = CASE WHEN line = 2 THEN :phase ELSE 'accepted' END WHERE batch_id = :id"
    await execute(store, others, id=batch.id, phase=phase)
    await execute(store, CLOSE, later=T0 + 1_000)
    expected = [] if phase == "accepted" else [IMAGE_LANE]
    assert (await outlook(store, batch)).reasons == expected


async def test_a_few_of_another_lane_are_heard_of_beside_many_that_wait(store: Store) -> None:
    batch = await bulk.running(store, 900)
    sent = "UPDATE jobs SET lane_id = :lane, phase = CASE WHEN line = 2 THEN phase ELSE 'accepted' END"
    await execute(store, f"{sent} WHERE batch_id = :id AND line < 300", id=batch.id, lane=VIDEO_LANE)
    await execute(store, CLOSE, later=T0 + 1_000)
    assert (await outlook(store, batch)).reasons == [IMAGE_LANE, VIDEO_LANE]


async def test_a_paused_batch_waits_for_nothing_but_its_people(store: Store) -> None:
    batch = await bulk.running(store, 2)
    await bulk.give(store, batch, batches.PAUSE)
    await execute(store, CLOSE, later=T0 + 1_000)
    assert await outlook(store, batch) == Outlook([], Counter(), Counter(), [])
