"""Four processes write overlapping groups while others claim and poll: nobody waits in a circle, and no
move is lost or applied twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from orchestrator import lifecycle
from orchestrator.decision import Decide, Decision, LaneSignal, Signal
from orchestrator.evidence import Source
from orchestrator.flow import actions as flow_actions
from orchestrator.job import Attempt, Job, Phase
from orchestrator.store import action_steps, actions, checks, deliveries, delivery_queue
from orchestrator.store.actions import Action, Matched
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.creation import Creation
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from tests.factories import (
    ACCOUNT,
    T0,
    TENANT,
    SetClock,
    add_tenant,
    make_creation,
    make_id,
    make_job,
    stored_job,
)
from tests.store import decisions
from tests.store.bulk import assert_counted, finish_steps, jobs_of, opened, running
from tests.store.claiming import add_ready, claim
from tests.store.locks import done_or_blocked, until_blocked
from tests.store.rows import count, job_of, select

HOOK = "https://user.example/hook"


def add_a_try(job: Job, attempt: Attempt | None) -> Decision:
    """Lost or applied twice, it shows in the sum."""
    checked = attempt and replace(attempt, checks=attempt.checks + 1)
    return Decision(note="counted", job=replace(job, tries=job.tries + 1), attempt=checked)


def give_back(job: Job, _attempt: Attempt | None) -> Decision:
    """A move that makes a job ready and says something of its lane: it locks all that a claim locks."""
    signals = (LaneSignal(Signal.FAILING, "x"), LaneSignal(Signal.ACCOUNT, "no credit"))
    return Decision(note="given back", move=lifecycle.give_back(job, "not sent"), signals=signals)


def complete_once(job: Job, attempt: Attempt | None) -> Decision:
    return Decision(note="duplicate") if job.is_ended else decisions.complete(job, attempt)


async def test_four_writers_with_overlapping_groups_lose_nothing(postgres: Database) -> None:
    stores = [Store(postgres, SetClock()) for _ in range(4)]
    jobs = [await stored_job(stores[0], Phase.ACCEPTED, webhook=HOOK) for _ in range(60)]

    async def write(store: Store, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(5):
            chosen = dice.sample(jobs, 40)
            await asyncio.gather(
                *(store.change(job.id, add_a_try, source=Source.POLL) for job in chosen),
                *(store.create(make_creation(key=f"{seed}-{dice.random()}")) for _ in range(5)),
            )

    await asyncio.gather(*(write(store, seed) for seed, store in enumerate(stores)))
    sums = await select(stores[0], "SELECT sum(tries), (SELECT sum(checks) FROM attempts) FROM jobs")
    assert [int(value) for value in sums[0]] == [4 * 5 * 40] * 2
    await asyncio.gather(
        *(store.change(job.id, complete_once, source=Source.CALLBACK) for store in stores for job in jobs)
    )
    assert await count(stores[0], "deliveries") == 60
    assert await count(stores[0], "events") == 60 + 4 * 5 * 5


@pytest.mark.parametrize("table", ["accounts", "lanes", "shares"])
async def test_a_change_and_a_claim_do_not_wait_in_a_circle(postgres_store: Store, table: str) -> None:
    """Both are stopped at one table's rows, the claim first; whoever goes on must not need the other's."""
    store = postgres_store
    await add_ready(store, 4)
    (claimed,) = await claim(store, slots=1)
    locked, release = asyncio.Event(), asyncio.Event()

    def hold(connection: Connection) -> None:
        connection.execute(text(f"SELECT 1 FROM {table} FOR UPDATE"))
        locked.set()
        await_only(release.wait())

    holding = asyncio.create_task(store.write(hold))
    await locked.wait()
    claiming = asyncio.create_task(claim(store, slots=3))
    await until_blocked(store, 1)
    changes = [change(claimed.job, give_back)]
    giving = asyncio.create_task(store.write(apply_changes, changes=changes, now=T0, is_retry=False))
    await done_or_blocked(store, giving, beside=1)
    release.set()
    await asyncio.gather(holding, claiming, giving)
    assert (await job_of(store, claimed.job.id)).phase in (Phase.READY, Phase.SUBMITTING)


@asynccontextmanager
async def held(store: Store, statement: str) -> AsyncIterator[None]:
    """Another transaction has what this statement takes: who wants it too waits until the block ends."""
    locked, release = asyncio.Event(), asyncio.Event()

    def hold(connection: Connection) -> None:
        connection.execute(text(statement))
        locked.set()
        await_only(release.wait())

    holding = asyncio.create_task(store.write(hold))
    await locked.wait()
    yield
    release.set()
    await holding


def held_key(store: Store, key: str) -> AbstractAsyncContextManager[None]:
    """Another process is taking this Idempotency-Key."""
    taken = "INSERT INTO idempotency_keys (tenant_id, key, request_hash, job_id, created_at)"
    return held(store, f"{taken} VALUES ('{TENANT}', '{key}', 'x', 'y', 1)")


async def test_a_late_creation_beside_a_batchs_end_and_a_claim_do_not_wait_in_a_circle(
    postgres_store: Store,
) -> None:
    """The group is stopped at the creation's key, the claim where it meets what the group has locked."""
    store, now = postgres_store, T0 + 100_000
    batch = await running(store, 3)
    *_, last = await jobs_of(store, batch)
    store.clock = SetClock(now)
    await add_ready(store, 1)
    late = make_creation(make_job(created_at=T0 + 1), key="k1")
    async with held_key(store, "k1"):
        group = asyncio.create_task(apply_once(store, change(last, decisions.fail), late))
        await until_blocked(store, 1)
        claiming = asyncio.create_task(claim(store, now=now))
        await done_or_blocked(store, claiming, beside=1)
    await asyncio.gather(group, claiming)
    await assert_counted(store, batch)


async def test_a_late_creation_beside_two_groups_that_make_jobs_ready_does_not_wait_in_a_circle(
    postgres_store: Store,
) -> None:
    """One group is stopped at the creation's key, when it has opened a share that comes behind that one's."""
    store = postgres_store
    first = [await stored_job(store, Phase.HELD, priority=priority) for priority in (1, 2)]
    last = await stored_job(store, Phase.HELD, priority=2)
    store.clock = SetClock(T0 + 100_000)
    late = make_creation(make_job(created_at=T0 + 1, priority=1), key="k1")
    async with held_key(store, "k1"):
        group = asyncio.create_task(apply_once(store, change(last, decisions.release), late))
        await until_blocked(store, 1)
        other = asyncio.create_task(apply_once(store, *(change(job, decisions.release) for job in first)))
        await done_or_blocked(store, other, beside=1)
    await asyncio.gather(group, other)
    assert [tuple(row) for row in await select(store, "SELECT DISTINCT phase FROM jobs")] == [("ready",)]


async def test_a_joined_job_and_two_groups_of_a_batch_do_not_wait_in_a_circle(postgres: Database) -> None:
    """One group is stopped at a key, before it joins a job that the other has locked."""
    one, two = Store(postgres, SetClock()), Store(postgres, SetClock())
    batch = await running(one, 3)
    first, second, _ = await jobs_of(one, batch)
    unanswered = await stored_job(one, Phase.ACCEPTED, answer_lost_at=T0, request_hash="f" * 64)
    joining = replace(make_creation(), may_join="f" * 64)
    async with held_key(one, "k1"):
        group = asyncio.create_task(
            apply_once(one, change(first, decisions.fail), make_creation(key="k1"), joining)
        )
        await until_blocked(one, 1)
        other = asyncio.create_task(
            apply_once(two, change(second, decisions.fail), change(unanswered, decisions.complete))
        )
        await done_or_blocked(one, other, beside=1)
    await asyncio.gather(group, other)
    await assert_counted(one, batch)


async def test_a_deletion_of_two_tenants_jobs_and_a_group_do_not_wait_in_a_circle(
    postgres_store: Store,
) -> None:
    """The deletion is stopped at the second tenant's job, whose batch is the older one."""
    store = postgres_store
    tenants = sorted((TENANT, await store.write(add_tenant)))
    older, younger = sorted((make_id(), make_id()))
    theirs = await opened(store, 2, id=older, tenant_id=tenants[1], job={"tenant_id": tenants[1]})
    ours = await opened(store, 2, id=younger, tenant_id=tenants[0], job={"tenant_id": tenants[0]})
    await finish_steps(store)
    ended, open_jobs = zip(*[await lines(store, batch.id) for batch in (ours, theirs)], strict=True)
    await apply_once(store, *(change(job, decisions.fail) for job in ended))
    action = Action(
        id=make_id(),
        tenant_id=TENANT,
        owner_id=None,
        actor="k",
        verb="delete",
        matched=Matched(ids=tuple(job.id for job in ended)),
        up_to=make_id(),
        created_at=T0,
        due_at=T0,
    )
    await store.write(actions.insert, action=action)
    given = {"action": action, "decide": flow_actions.decide_for(action, T0), "is_done": flow_actions.is_done}
    async with held(store, f"SELECT 1 FROM documents WHERE job_id = '{ended[1].id}' FOR UPDATE"):
        deleting = asyncio.create_task(store.write(action_steps.take, **given, now=T0))
        await until_blocked(store, 1)
        group = asyncio.create_task(apply_once(store, *(change(job, decisions.fail) for job in open_jobs)))
        await done_or_blocked(store, group, beside=1)
    await asyncio.gather(deleting, group)
    assert await count(store, "jobs") == 2


async def lines(store: Store, batch_id: str) -> tuple[Job, Job]:
    found = await select(store, "SELECT id FROM jobs WHERE batch_id = :id ORDER BY line", id=batch_id)
    first, second = [await job_of(store, row[0]) for row in found]
    return first, second


def change(job: Job, decide: Decide) -> Change:
    return Change(job_id=job.id, decide=decide, source="client", event_id=make_id())


async def apply_once(store: Store, *items: Change | Creation) -> None:
    """One group, and no second try that would hide a circle."""
    await store.write(store._apply, items=items, is_retry=False)


async def test_writers_claims_polls_and_deliveries_go_on_beside_one_another(postgres: Database) -> None:
    stores = [Store(postgres, SetClock(T0 + n)) for n in range(4)]
    await add_ready(stores[0], 300, webhook=HOOK)
    ended: set[str] = set()

    async def work(store: Store, number: int) -> None:
        dice = random.Random(number)
        while len(ended) < 300:
            claimed = await claim(store, slots=dice.randint(1, 20), owner=f"w{number}")
            back = [one for one in claimed if dice.random() < 0.3]
            await asyncio.gather(
                *(store.change(one.job.id, clear_and_give_back, source="worker") for one in back),
                *(
                    store.change(one.job.id, complete_once, source=Source.ANSWER, attempt=one.job.attempt)
                    for one in claimed
                    if one not in back
                ),
                store.write(checks.take_due_checks, account_id=ACCOUNT, now=T0, most=20),
                take_deliveries(store),
            )
            ended.update(one.job.id for one in claimed if one not in back)

    async with asyncio.TaskGroup() as group:
        for number, store in enumerate(stores):
            group.create_task(work(store, number))
    verbs = dict(await select(stores[0], "SELECT verb, count(*) FROM events GROUP BY verb"))
    assert verbs["complete"] == 300
    assert verbs["claim"] == 300 + verbs.get("give_back", 0)
    assert await count(stores[0], "deliveries") == 300


async def take_deliveries(store: Store) -> None:
    waiting = await store.read(delivery_queue.due_deliveries, now=T0, most=20)
    await store.write(deliveries.take_deliveries, ids=[one.id for one in waiting], now=T0)


def clear_and_give_back(job: Job, attempt: Attempt | None) -> Decision:
    ended = attempt and replace(
        attempt, ended_at=T0, ended_by=Source.WORKER, outcome="not_sent", check_at=None
    )
    signals = (LaneSignal(Signal.CALLED_BACK), LaneSignal(Signal.HEALTHY))
    move = lifecycle.give_back(job, "not sent")
    return Decision(note="given back", move=move, attempt=ended, signals=signals)
