"""`ready_from` lets a claim start behind what is gone; it must never pass a job that is ready."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from orchestrator import lifecycle, policy
from orchestrator.decision import Decision
from orchestrator.job import Attempt, Job
from orchestrator.store import turns
from orchestrator.store.database import Database
from orchestrator.store.store import Store
from tests.factories import T0, SetClock, add_tenant, make_creation, make_id, make_job
from tests.store.claiming import add_ready, claim, claimed_ids
from tests.store.locks import done_or_blocked, until_blocked
from tests.store.rows import execute, select

LATER = T0 + 60_000


def give_back(job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="given back", move=lifecycle.give_back(job, "not sent"))


async def cursors(store: Store) -> list[str]:
    return [row[0] for row in await select(store, "SELECT ready_from FROM shares ORDER BY priority")]


async def test_a_claim_starts_behind_what_was_claimed_before(store: Store) -> None:
    jobs = await add_ready(store, 5)
    await claim(store, slots=3, now=LATER)
    assert await cursors(store) == [jobs[2].id]
    assert await claimed_ids(store, now=LATER) == [job.id for job in jobs[3:]]


async def test_a_job_that_became_ready_again_is_claimed_again(store: Store) -> None:
    jobs = await add_ready(store, 5)
    await claim(store, slots=4, now=LATER)
    await store.change(jobs[1].id, give_back, source="worker")
    assert await claimed_ids(store, now=LATER) == [jobs[1].id, jobs[4].id]


async def test_a_job_that_commits_late_is_claimed(store: Store) -> None:
    """Ids are older than their commit: for some seconds no cursor passes them."""
    await add_ready(store, 3, at=T0)
    await claim(store, now=T0 + 10_000)
    late = await add_ready(store, 1, at=T0 - 4_000)
    assert await claimed_ids(store, now=T0 + 11_000) == [late[0].id]


async def test_a_job_that_waited_long_for_its_commit_is_claimed(database: Database) -> None:
    """The database was in trouble, and the group was written a minute after the job got its id."""
    clock = SetClock()
    store = Store(database, clock)
    await add_ready(store, 3, at=T0)
    await claim(store, now=LATER)
    clock.at = LATER
    late = make_job(created_at=T0 - 1_000)
    await store.create(make_creation(late))
    assert await claimed_ids(store, now=LATER) == [late.id]


async def test_a_priority_that_got_no_slot_is_not_passed_over(store: Store) -> None:
    low = await add_ready(store, 3, priority=5)
    await add_ready(store, 3, priority=0)
    await claim(store, slots=3, now=LATER)
    assert await cursors(store) == [max(await cursors(store)), ""]
    assert await claimed_ids(store, now=LATER) == [job.id for job in low]


async def test_a_tenant_that_got_no_slot_is_not_passed_over(store: Store) -> None:
    tenants = [await store.write(add_tenant) for _ in range(4)]
    jobs = [job for tenant in tenants for job in await add_ready(store, 1, tenant_id=tenant)]
    claimed = [one for _ in tenants for one in await claimed_ids(store, slots=1, now=LATER)]
    assert sorted(claimed) == sorted(job.id for job in jobs)


async def test_a_suspect_that_waits_for_an_idle_worker_is_not_passed_over(store: Store) -> None:
    suspect = (await add_ready(store, 1, lost_leases=policy.SOLO_AFTER_LOST_LEASES))[0]
    neighbours = await add_ready(store, 3, at=T0 + 10)
    assert await claim(store, is_idle=False, now=LATER) == []
    assert await claimed_ids(store, now=LATER) == [suspect.id]
    assert await claimed_ids(store, now=LATER) == [job.id for job in neighbours]


async def test_looking_back_finds_what_a_wrong_clock_has_hidden(store: Store) -> None:
    jobs = await add_ready(store, 2)
    await execute(store, "UPDATE shares SET ready_from = :ahead", ahead=make_id(LATER))
    assert await claimed_ids(store, now=LATER) == []
    await store.write(turns.look_back)
    assert await claimed_ids(store, now=LATER) == [job.id for job in jobs]


async def test_looking_back_leaves_a_right_cursor_alone(store: Store) -> None:
    await add_ready(store, 5)
    await claim(store, slots=3, now=LATER)
    before = await cursors(store)
    await store.write(turns.look_back)
    assert await cursors(store) == before


async def test_a_job_that_another_transaction_holds_is_skipped_and_not_passed_over(
    postgres_store: Store,
) -> None:
    store = postgres_store
    jobs = await add_ready(store, 3)
    locked, release = asyncio.Event(), asyncio.Event()

    def hold(connection: Connection) -> None:
        connection.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": jobs[0].id})
        locked.set()
        await_only(release.wait())

    holding = asyncio.create_task(store.write(hold))
    await locked.wait()
    assert await claimed_ids(store, now=LATER) == [job.id for job in jobs[1:]]
    release.set()
    await holding
    assert await claimed_ids(store, now=LATER) == [jobs[0].id]


async def test_a_job_given_back_in_the_middle_of_a_claim_is_not_passed_over(postgres_store: Store) -> None:
    """The claim is stopped where it waits for the share's row; meanwhile an older job becomes ready."""
    store = postgres_store
    jobs = await add_ready(store, 4)
    await claim(store, slots=1, now=LATER)
    await execute(store, "UPDATE shares SET ready_from = ''")
    locked, release = asyncio.Event(), asyncio.Event()

    def hold(connection: Connection) -> None:
        connection.execute(text("UPDATE shares SET virtual_time = virtual_time"))
        locked.set()
        await_only(release.wait())

    holding = asyncio.create_task(store.write(hold))
    await locked.wait()
    claiming = asyncio.create_task(claimed_ids(store, slots=2, now=LATER))
    await until_blocked(store, 1)
    giving = asyncio.create_task(store.change(jobs[0].id, give_back, source="worker"))
    await done_or_blocked(store, giving, beside=1)
    release.set()
    await asyncio.gather(holding, giving)
    claimed = await claiming + await claimed_ids(store, now=LATER)
    assert sorted(claimed) == sorted(job.id for job in jobs)
