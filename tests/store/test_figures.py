"""The figures and the counters of stages say what a count of jobs and events would, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from orchestrator.clock import HOUR, MINUTE
from orchestrator.store import figures, retention, series
from orchestrator.store.figures import Key, bucket_of, duration_of
from orchestrator.store.series import Wanted, percentile
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, make_creation
from tests.store import decisions
from tests.store.bulk import running
from tests.store.claiming import claim
from tests.store.rows import count, select


async def counted(store: Store) -> None:
    while await store.write(figures.follow, most=50):
        pass


async def sums(store: Store, *names: str, span: str = "minute", since: int = 0) -> dict[str, int]:
    wanted = Wanted(span=span, since=since, names=names)
    found = await store.read(series.over_time, wanted=wanted)
    return {name: sum(by_time.values()) for name, by_time in found.items()}


async def stages(store: Store) -> Counter[str]:
    found = await store.read(series.stages)
    return +sum(found.values(), Counter[str]())


async def test_a_job_is_counted_on_each_step_of_its_way(store: Store) -> None:
    done, failed, waiting = [(await store.create(make_creation())).job for _ in range(3)]
    await claim(store, slots=2)
    await store.change(done.id, decisions.complete, source="poll", attempt=1)
    await store.change(failed.id, decisions.fail, source="poll", attempt=1)
    await counted(store)
    assert await sums(store, "created", "claimed", "completed", "failed", "reason_rejected") == {
        "created": 3,
        "claimed": 2,
        "completed": 1,
        "failed": 1,
        "reason_rejected": 1,
    }
    assert await stages(store) == {"ready": 1}
    assert waiting.id


async def test_jobs_of_a_batch_count_as_created_when_the_batch_lets_them_go(store: Store) -> None:
    await running(store, 5)
    await counted(store)
    assert await sums(store, "created") == {"created": 5}
    assert await stages(store) == {"ready": 5}


async def test_two_processes_that_count_at_once_count_each_event_once(store: Store) -> None:
    for _ in range(40):
        await store.create(make_creation())
    await asyncio.gather(*(store.write(figures.follow, most=7) for _ in range(20)))
    await counted(store)
    assert await sums(store, "created") == {"created": 40}
    assert await stages(store) == {"ready": 40}


@pytest.mark.parametrize("counted_before", [0, 1, 2])
async def test_a_job_that_is_deleted_before_all_of_it_is_counted_is_in_no_stage(
    store: Store, counted_before: int
) -> None:
    job = (await store.create(make_creation())).job
    await claim(store, slots=1)
    if counted_before:
        await store.write(figures.follow, most=counted_before)
    await store.change(job.id, decisions.complete, source="poll", attempt=1)
    await store.write(retention.delete_old, ended_from=0, ended_before=T0 + HOUR, most=10)
    await counted(store)
    assert await count(store, "jobs") == 0
    assert await stages(store) == {}
    assert await sums(store, "created", "completed") == {"created": 1, "completed": 1}


async def test_a_look_is_limited_to_a_tenant(store: Store) -> None:
    await store.create(make_creation())
    await counted(store)
    wanted = Wanted(span="minute", since=0, names=("created",), tenant_id="f" * 32)
    assert await store.read(series.over_time, wanted=wanted) == {"created": {}}
    mine = Wanted(span="minute", since=0, names=("created",), tenant_id=TENANT)
    assert sum((await store.read(series.over_time, wanted=mine))["created"].values()) == 1


async def test_hours_hold_what_their_minutes_hold_and_outlive_them(store: Store) -> None:
    at = T0 - T0 % HOUR
    for minute in range(3):
        key = Key(at + minute * MINUTE, "lane", TENANT, "created")
        await store.write(figures.add, counts=Counter({key: minute + 1}))
    assert await sums(store, "created") == await sums(store, "created", span="hour") == {"created": 6}
    await store.write(figures.delete_old, before={"minute": at + 2 * MINUTE, "hour": 0})
    assert await sums(store, "created") == {"created": 3}
    assert await sums(store, "created", span="hour") == {"created": 6}


async def test_a_look_that_finds_nothing_writes_nothing(store: Store) -> None:
    await counted(store)
    assert await select(store, "SELECT count(*) FROM figures") == [(0,)]


@pytest.mark.parametrize("ms", [1, 2, 37, 900, 61_000, 7_200_000])
def test_a_duration_is_kept_within_a_tenth(ms: int) -> None:
    assert duration_of(bucket_of(ms)) == pytest.approx(ms, rel=0.1)


def test_a_percentile_is_that_of_the_sorted_durations() -> None:
    counts = Counter(bucket_of(ms) for ms in range(1, 1_001))
    half, most = percentile(counts, 0.5), percentile(counts, 0.95)
    assert half == pytest.approx(500, rel=0.1)
    assert most == pytest.approx(950, rel=0.1)
    assert percentile(Counter(), 0.5) is None
