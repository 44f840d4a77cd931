"""Deliveries: what is due is taken by one worker, and every attempt is kept."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.evidence import Source
from orchestrator.flow import redrive
from orchestrator.flow.prediction import prediction
from orchestrator.job import Ending, Job, Phase
from orchestrator.store import deliveries, delivery_queue
from orchestrator.store.database import Database
from orchestrator.store.deliveries import Attempted, Due, JobEnd
from orchestrator.store.store import Store
from tests.factories import T0, SetClock, make_error, make_result, stored_job
from tests.store import decisions
from tests.store.rows import select

HOOK = "https://user.example/hook"


async def ended_job(store: Store, host: str = "user.example") -> Job:
    job = await stored_job(store, Phase.ACCEPTED, webhook=f"https://{host}/hook")
    applied = await store.change(job.id, decisions.complete, source=Source.POLL)
    assert applied is not None
    return applied.job


async def take(store: Store, *, now: int = T0, most: int = 50) -> list[Due]:
    waiting = await store.read(delivery_queue.due_deliveries, now=now, most=most)
    return await store.write(deliveries.take_deliveries, ids=[one.id for one in waiting], now=now)


def attempted(due: Due, **changes: Any) -> Attempted:
    needed: dict[str, Any] = {
        "delivery_id": due.id,
        "number": due.number,
        "at": T0 + 7,
        "latency_ms": 12,
        "status": 500,
        "error": None,
        "answer": "no",
        "is_delivered": False,
        "due_at": T0 + 5_000,
    }
    return Attempted(**(needed | changes))


async def state_of(store: Store) -> Any:
    return (await select(store, "SELECT state, due_at, failures, finished_at FROM deliveries"))[0]


async def test_a_due_delivery_comes_with_what_it_tells(store: Store) -> None:
    job = await ended_job(store)
    (due,) = await take(store)
    assert (due.id, due.url, due.failures) == (f"{job.id}-1", HOOK, 0)
    ((given,),) = await select(store, "SELECT input FROM documents")
    assert due.told == JobEnd(job, Ending(result=make_result()), given)


async def test_a_taken_delivery_is_taken_again_when_its_worker_has_died(store: Store) -> None:
    await ended_job(store)
    assert await take(store, now=T0 - 1) == []
    await take(store)
    assert await take(store, now=T0 + 29_999) == []
    assert len(await take(store, now=T0 + 30_000)) == 1


async def test_a_failed_attempt_is_kept_and_the_next_is_planned(store: Store) -> None:
    await ended_job(store)
    (due,) = await take(store)
    await store.write(deliveries.record_attempt, attempted=attempted(due))
    assert tuple(await state_of(store)) == ("pending", T0 + 5_000, 1, None)
    (again,) = await take(store, now=T0 + 5_000)
    assert again.failures == 1
    await store.write(deliveries.record_attempt, attempted=attempted(again, status=None, error="reset"))
    kept = await select(store, "SELECT number, status, error, latency_ms, answer FROM delivery_attempts")
    assert sorted(kept) == [(1, 500, None, 12, "no"), (2, None, "reset", 12, "no")]


async def test_a_heard_delivery_is_over(store: Store) -> None:
    await ended_job(store)
    (due,) = await take(store)
    await store.write(
        deliveries.record_attempt, attempted=attempted(due, status=200, is_delivered=True, due_at=None)
    )
    assert tuple(await state_of(store)) == ("delivered", None, 0, T0 + 7)
    assert await take(store, now=T0 + 10**9) == []


async def test_a_delivery_without_another_attempt_is_dead(store: Store) -> None:
    await ended_job(store)
    (due,) = await take(store)
    await store.write(deliveries.record_attempt, attempted=attempted(due, status=410, due_at=None))
    assert tuple(await state_of(store)) == ("dead", None, 1, T0 + 7)


async def test_two_workers_never_take_the_same_delivery(postgres: Database) -> None:
    stores = [Store(postgres, SetClock()) for _ in range(4)]
    jobs = [await ended_job(stores[0]) for _ in range(30)]
    taken: list[str] = []

    async def work(store: Store) -> None:
        while len(taken) < 30:
            taken.extend(due.id for due in await take(store, most=5))

    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(work(store))
    assert sorted(taken) == sorted(f"{job.id}-1" for job in jobs)


async def test_a_delivery_tells_the_end_it_is_named_for_though_the_job_lives_again(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED, webhook=HOOK)
    await store.change(job.id, decisions.fail, source=Source.POLL)
    await store.change(
        job.id, lambda job, _: redrive.decide(job, None, actor="somebody", now=T0), source="client"
    )
    (due,) = await take(store)
    assert isinstance(due.told, JobEnd)
    assert (due.id, due.told.job.phase) == (f"{job.id}-1", Phase.FAILED)
    told = prediction(due.told.job, due.told.ending, base_url="http://here")
    assert (told["status"], told["error"]) == ("failed", make_error().message)


async def test_a_closed_host_is_passed_over(store: Store) -> None:
    await ended_job(store)
    closed = await store.read(delivery_queue.due_deliveries, now=T0, most=5, closed_hosts=["user.example"])
    assert closed == []
    assert len(await take(store)) == 1


async def test_a_closed_host_hides_no_other_however_many_are_due_to_it(store: Store) -> None:
    for _ in range(12):
        await ended_job(store)
    others = [await ended_job(store, host) for host in ("b.example", "a.example", "z.example", "b.example")]
    due = await store.read(
        delivery_queue.due_deliveries, now=T0, most=2, closed_hosts=["user.example", "a.example"]
    )
    assert {one.host for one in due} <= {"b.example", "z.example"}
    assert len(due) == 2
    due = await store.read(delivery_queue.due_deliveries, now=T0, most=3, closed_hosts=["user.example"])
    assert {one.id for one in due} < {f"{job.id}-1" for job in others}


async def test_what_is_due_to_some_hosts_is_found_behind_any_number_to_others(store: Store) -> None:
    for _ in range(12):
        await ended_job(store)
    told = [await ended_job(store, host) for host in ("b.example", "a.example", "b.example")]

    async def due_to(*hosts: str, most: int = 50) -> list[str]:
        found = await store.read(delivery_queue.due_to_hosts, now=T0, most=most, hosts=hosts)
        return sorted(one.id for one in found)

    assert await due_to("a.example", "nobody.example") == [f"{told[1].id}-1"]
    assert await due_to("b.example", "a.example") == sorted(f"{job.id}-1" for job in told)
    assert len(await due_to("user.example", most=5)) == 5
    assert await due_to() == []


async def test_what_a_thawed_worker_says_of_an_attempt_that_is_known_changes_nothing(store: Store) -> None:
    await ended_job(store)
    (frozen,) = await take(store)
    (due,) = await take(store, now=T0 + 30_000)
    heard = attempted(due, status=200, is_delivered=True, due_at=None)
    await store.write(deliveries.record_attempt, attempted=heard)
    await store.write(deliveries.record_attempt, attempted=attempted(frozen))
    assert tuple(await state_of(store)) == ("delivered", None, 0, T0 + 7)


async def test_one_attempt_that_two_workers_made_fails_once(store: Store) -> None:
    await ended_job(store)
    (frozen,) = await take(store)
    (due,) = await take(store, now=T0 + 30_000)
    for one in (due, frozen):
        await store.write(deliveries.record_attempt, attempted=attempted(one))
    assert tuple(await state_of(store)) == ("pending", T0 + 5_000, 1, None)
