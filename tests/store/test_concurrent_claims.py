"""Several workers claim at once on PostgreSQL: each job goes to one of them, and the limits hold for all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from orchestrator.decision import Decide, Decision
from orchestrator.job import Attempt, Job
from orchestrator.policy import Limits
from orchestrator.store import claims, lanes, turns
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.claims import Claim
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, IMAGE_LANE, T0, VIDEO_LANE, add_tenant, make_id
from tests.store import decisions
from tests.store.claiming import add_ready, claim, claimed_ids, end_attempts
from tests.store.locks import done_or_blocked, until_blocked
from tests.store.rows import count, execute, lane_of


async def claim_all(store: Store, *, workers: int, slots: int, rounds: int = 20) -> list[Claim]:
    async def work(number: int) -> list[Claim]:
        return [
            one for _ in range(rounds) for one in await claim(store, slots=slots, owner=f"worker-{number}")
        ]

    return [one for each in await asyncio.gather(*(work(n) for n in range(workers))) for one in each]


async def test_no_job_is_claimed_twice(postgres_store: Store) -> None:
    tenants = [await postgres_store.write(add_tenant) for _ in range(5)]
    jobs = [job for tenant in tenants for job in await add_ready(postgres_store, 50, tenant_id=tenant)]
    claimed = await claim_all(postgres_store, workers=6, slots=7)
    assert sorted(one.job.id for one in claimed) == sorted(job.id for job in jobs)
    assert {one.job.attempt for one in claimed} == {1}
    assert len({one.job.lease_owner for one in claimed}) > 1


async def test_all_workers_together_stay_within_the_limits(postgres_store: Store) -> None:
    limits = Limits(image_per_minute=1_000, video_per_minute=1, max_in_flight=30)
    await postgres_store.write(
        lanes.ensure_account, account_id=ACCOUNT, provider="wavespeed", limits=limits, now=T0
    )
    await add_ready(postgres_store, 100)
    claimed = await claim_all(postgres_store, workers=6, slots=4, rounds=4)
    assert len(claimed) == 30 == await count(postgres_store, "attempts")
    await end_attempts(postgres_store, claimed)
    assert len(await claim_all(postgres_store, workers=6, slots=10, rounds=4)) == 20
    assert (await lane_of(postgres_store)).tokens == 0


@pytest.mark.parametrize("decide", [decisions.fail, decisions.hold])
async def test_a_job_that_ends_or_is_held_after_it_was_chosen_is_left_alone(
    postgres_store: Store, monkeypatch: pytest.MonkeyPatch, decide: Decide
) -> None:
    """The change began before the claim did, and is committed after the claim has chosen."""
    store, choose = postgres_store, turns.choose
    jobs = await add_ready(store, 3)
    has_changed, commit = asyncio.Event(), asyncio.Event()
    has_chosen, go_on = asyncio.Event(), asyncio.Event()

    def change_slowly(connection: Connection) -> None:
        change = Change(job_id=jobs[1].id, decide=decide, source="client", event_id=make_id())
        apply_changes(connection, [change], now=T0, is_retry=False)
        has_changed.set()
        await_only(commit.wait())

    def choose_slowly(*given: Any) -> Any:
        chosen = choose(*given)
        has_chosen.set()
        await_only(go_on.wait())
        return chosen

    monkeypatch.setattr(turns, "choose", choose_slowly)
    changing = asyncio.create_task(store.write(change_slowly))
    await has_changed.wait()
    claiming = asyncio.create_task(claimed_ids(store, now=T0 + 60_000))
    await has_chosen.wait()
    commit.set()
    await changing
    go_on.set()
    assert await claiming == [jobs[0].id, jobs[2].id]
    await store.change(jobs[1].id, decisions.release_or_redrive, source="client")
    assert await claimed_ids(store, now=T0 + 60_000) == [jobs[1].id]


async def test_a_claim_and_jobs_of_two_lanes_that_become_ready_never_wait_for_each_other(
    postgres_store: Store,
) -> None:
    store = postgres_store
    await add_ready(store, 1)
    await add_ready(store, 1, lane_id=VIDEO_LANE, media="video")
    # Videos were served longer ago: their turn comes first, and the images' after it.
    await execute(store, "UPDATE lanes SET tokens_at = :at WHERE id = :lane", at=T0 - 1, lane=VIDEO_LANE)
    is_locked, goes_on = asyncio.Event(), asyncio.Event()

    def make_ready(connection: Connection) -> None:
        """As `lanes.reopen` does, with a pause between its rows."""
        touched = text("UPDATE shares SET ready_from = ready_from WHERE lane_id = :lane")
        connection.execute(touched, {"lane": IMAGE_LANE})
        is_locked.set()
        await_only(goes_on.wait())
        connection.execute(touched, {"lane": VIDEO_LANE})

    making = asyncio.create_task(store.write(make_ready))
    await is_locked.wait()
    claiming = asyncio.create_task(claim(store))
    await until_blocked(store, 1)
    goes_on.set()
    _, claimed = await asyncio.gather(making, claiming)
    assert [one.job.media for one in claimed] == ["video", "image"]


async def test_an_attempt_that_is_open_again_during_a_claim_is_counted_by_the_next(
    postgres_store: Store,
) -> None:
    store = postgres_store
    await add_ready(store, 3)
    (old,) = await claim(store, slots=1, now=T0 + 2_000)
    await end_attempts(store, [old])
    await execute(store, "UPDATE accounts SET open_from = :at, max_in_flight = 1", at=T0)
    has_counted, goes_on = asyncio.Event(), asyncio.Event()

    def claim_slowly(connection: Connection) -> None:
        assert claims._free_slots(connection, ACCOUNT, T0 + 60_000) == (1, T0 + 60_000)
        has_counted.set()
        await_only(goes_on.wait())

    def reopen(_job: Job, attempt: Attempt | None) -> Decision:
        assert attempt is not None
        return Decision(note="open again", attempt=replace(attempt, ended_at=None))

    claiming = asyncio.create_task(store.write(claim_slowly))
    await has_counted.wait()
    reopening = asyncio.create_task(store.change(old.job.id, reopen, source="worker", attempt=1))
    await done_or_blocked(store, reopening, beside=0)
    goes_on.set()
    await asyncio.gather(claiming, reopening)
    assert await claim(store, now=T0 + 61_000) == []
