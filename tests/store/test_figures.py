"""The figures and the counters of stages say what a count of jobs and events would, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import pytest
from sqlalchemy import Connection

from orchestrator.clock import HOUR, MINUTE
from orchestrator.job import Job, Phase
from orchestrator.store import figures, retention, rows, series
from orchestrator.store.figures import Key, bucket_of, duration_of
from orchestrator.store.series import Wanted, percentile
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, add_attempts, add_jobs, make_attempt, make_creation, make_id, make_job
from tests.store import decisions
from tests.store.bulk import running
from tests.store.claiming import claim
from tests.store.plans import plan
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


def told(connection: Connection, job: Job, *moves: tuple[int, str, str, str, int]) -> None:
    """The job's events: after how many ms, the verb, from where, to where, the attempt."""
    rows.insert_events(
        connection,
        [
            (make_id(T0), job.id, job.tenant_id, T0 + ms, verb, before, after, attempt, "worker", "")
            for ms, verb, before, after, attempt in moves
        ],
    )


def told_of_two_alike_and_a_retried_one(connection: Connection) -> None:
    *alike, retried = [make_job(Phase.COMPLETED, created_at=T0) for _ in range(3)]
    add_jobs(connection, [*alike, retried])
    for job in alike:
        at = {"claimed_at": T0 + 100, "answered_at": T0 + 150, "ended_at": T0 + 1_150}
        ended = make_attempt(job, number=1, ended_by="callback", outcome="completed", **at)
        add_attempts(connection, [ended])
        told(
            connection,
            job,
            (100, "claim", "ready", "submitting", 1),
            (150, "accept", "submitting", "accepted", 1),
            (1_150, "complete", "accepted", "completed", 1),
        )
    first = make_attempt(retried, number=1, claimed_at=T0 + 10, ended_at=T0 + 20, outcome="throttled")
    # Its answer was lost, and it was found in the history.
    second = make_attempt(
        retried, number=2, claimed_at=T0 + 5_000, ended_at=T0 + 9_000, ended_by="history", outcome="completed"
    )
    add_attempts(connection, [first, second])
    told(
        connection,
        retried,
        (10, "claim", "ready", "submitting", 1),
        (20, "retry", "submitting", "waiting", 1),
        (5_000, "claim", "waiting", "submitting", 2),
        (6_000, "doubt", "submitting", "in_doubt", 2),
        (9_000, "complete", "in_doubt", "completed", 2),
    )


async def test_times_and_outcomes_are_those_of_the_attempts_also_where_many_are_alike(store: Store) -> None:
    await store.write(told_of_two_alike_and_a_retried_one)
    await counted(store)
    found = await select(store, "SELECT name, bucket, count FROM figures WHERE span = 'hour'")
    assert {(name, bucket): times for name, bucket, times in found} == {
        ("claimed", 0): 4,
        ("completed", 0): 3,
        ("doubted", 0): 1,
        ("outcome_throttled", 0): 1,
        ("found_by_callback", 0): 2,
        ("found_by_history", 0): 1,
        ("wait", bucket_of(100)): 2,
        ("wait", bucket_of(10)): 1,
        ("submit", bucket_of(50)): 2,
        ("run", bucket_of(1_000)): 2,
        ("run", bucket_of(4_000)): 1,
        ("total", bucket_of(1_150)): 2,
        ("total", bucket_of(9_000)): 1,
    }


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


async def test_old_figures_are_forgotten_under_each_name(store: Store) -> None:
    at, names = T0 - T0 % HOUR, ["claimed", "created", "reason_expired"]
    for name in names:
        for hour in range(2):
            key = Key(at + hour * HOUR, "lane", TENANT, name)
            await store.write(figures.add, counts=Counter({key: 1}))
    await store.write(figures.delete_old, before={"hour": at + HOUR})
    kept = await select(store, "SELECT name, at FROM figures WHERE span = 'hour' ORDER BY name")
    assert [tuple(row) for row in kept] == [(name, at + HOUR) for name in names]
    assert (await sums(store, *names, span="ever")) == dict.fromkeys(names, 2)


async def test_the_figures_that_are_kept_are_not_looked_at_to_forget_old_ones(store: Store) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    steps = await store.write(plan, do=partial(figures.delete_old, before={"hour": T0}))
    assert steps[0].endswith("(span=? AND name=? AND at<?)")
    assert [step for step in steps if "figures" in step and not step.startswith("SEARCH")] == []


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
