"""Open attempts are asked about when their time comes, each by one worker."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.job import Job, Phase
from orchestrator.store import checks
from orchestrator.store.checks import Check
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, T0, SetClock, add_attempts, add_jobs, make_attempt, make_job
from tests.store.rows import attempt_of, execute


async def add(
    store: Store, phase: Phase = Phase.ACCEPTED, *, model: str = "studio/paint", **attempt: Any
) -> Job:
    job = make_job(phase, attempt=2, model=model)
    await store.write(add_jobs, jobs=[job])
    await store.write(add_attempts, attempts=[make_attempt(job, **attempt)])
    return job


async def take(store: Store, *, now: int = T0, most: int = 50) -> list[Check]:
    return await store.write(checks.take_due_checks, account_id=ACCOUNT, now=now, most=most)


async def test_due_attempts_are_taken_with_their_jobs(store: Store) -> None:
    due, later = await add(store, check_at=T0), await add(store, check_at=T0 + 1)
    await add(store, check_at=None)
    (check,) = await take(store)
    assert check.job == due
    assert check.attempt == await attempt_of(store, due.id, 2)
    assert [one.job.id for one in await take(store, now=T0 + 1)] == [later.id]


async def test_the_longest_due_are_taken_first(store: Store) -> None:
    jobs = [await add(store, check_at=T0 - n) for n in range(5)]
    assert {one.job.id for one in await take(store, most=2)} == {jobs[3].id, jobs[4].id}


async def test_a_taken_check_is_taken_again_when_its_worker_has_died(store: Store) -> None:
    await add(store, check_at=T0)
    await take(store)
    assert await take(store, now=T0 + 59_999) == []
    assert len(await take(store, now=T0 + 60_000)) == 1


async def test_attempts_of_ended_jobs_are_still_asked_about(store: Store) -> None:
    job = await add(store, Phase.FAILED, check_at=T0)
    assert [one.job.id for one in await take(store)] == [job.id]


async def test_two_workers_never_take_the_same_check(postgres: Database) -> None:
    stores = [Store(postgres, SetClock()) for _ in range(4)]
    jobs = [await add(stores[0], check_at=T0) for _ in range(60)]
    taken = await asyncio.gather(*(take(store, most=10) for store in stores for _ in range(4)))
    assert sorted(one.job.id for each in taken for one in each) == sorted(job.id for job in jobs)


async def siblings_of(store: Store, job: Job) -> checks.Siblings:
    return await store.read(
        checks.siblings,
        account_id=ACCOUNT,
        input_hashes=["2" * 32, job.input_hash],
        after=T0 - 100,
        before=T0 + 100,
    )


async def test_siblings_are_attempts_in_doubt_with_the_same_input_near_in_time(store: Store) -> None:
    second = await add(store, Phase.IN_DOUBT, claimed_at=T0 + 5)
    first = await add(store, Phase.IN_DOUBT, claimed_at=T0)
    await add(store, Phase.IN_DOUBT, claimed_at=T0 + 101)
    await add(store, Phase.IN_DOUBT, input_hash="1" * 32)
    await add(store, Phase.IN_DOUBT, provider_id="known")
    await add(store, Phase.IN_DOUBT, ended_at=T0)
    await add(store, Phase.IN_DOUBT, number=1)
    await add(store, Phase.ACCEPTED)
    siblings = await siblings_of(store, first)
    assert [one.job_id for one in siblings.in_doubt] == [first.id, second.id]
    assert not siblings.are_some_submitting


async def test_a_sibling_that_is_being_sent_is_told(store: Store) -> None:
    job = await add(store, Phase.SUBMITTING)
    siblings = await siblings_of(store, job)
    assert siblings.in_doubt == []
    assert siblings.are_some_submitting


async def inputs_of_others(store: Store, *, most: int = 10, longest: int = 10) -> list[str | None]:
    return await store.read(
        checks.other_inputs,
        account_id=ACCOUNT,
        model="studio/paint",
        input_hashes=["1" * 32, "2" * 32],
        after=T0 - 100,
        before=T0 + 100,
        most=most,
        longest=longest,
    )


async def test_others_are_attempts_without_a_task_that_ask_the_model_for_something_else(store: Store) -> None:
    doubted = await add(store, Phase.IN_DOUBT, input_hash="3" * 32)
    sent = await add(store, Phase.SUBMITTING, input_hash="4" * 32, claimed_at=T0 + 100)
    await add(store, Phase.IN_DOUBT, input_hash="2" * 32)
    await add(store, Phase.IN_DOUBT, input_hash="3" * 32, model="studio/film")
    await add(store, Phase.IN_DOUBT, input_hash="3" * 32, claimed_at=T0 + 101)
    await add(store, input_hash="3" * 32, provider_id="known")
    await add(store, Phase.WAITING, input_hash="3" * 32, ended_at=T0)
    for number, job in enumerate((doubted, sent)):
        await execute(
            store, "UPDATE documents SET input = :input WHERE job_id = :id", id=job.id, input=f"[{number}]"
        )
    assert {*await inputs_of_others(store)} == {"[0]", "[1]"}
    assert len(await inputs_of_others(store, most=1)) == 1
    assert await inputs_of_others(store, longest=2) == [None, None]


async def known_among(store: Store, *ids: str) -> set[str]:
    return await store.read(checks.known_among, account_id=ACCOUNT, provider_ids=list(ids), since=T0)


async def test_known_ids_and_their_holder_are_found(store: Store) -> None:
    job = await add(store, provider_id="task-1")
    assert await known_among(store, "task-1", "task-2") == {"task-1"}
    assert await known_among(store) == set()
    holder = await store.read(checks.holder_of, account_id=ACCOUNT, provider_id="task-1")
    assert holder == await attempt_of(store, job.id, 2)
    assert await store.read(checks.holder_of, account_id="other", provider_id="task-1") is None
