"""Several workers claim at once on PostgreSQL: each job goes to one of them, and the limits hold for all."""

from __future__ import annotations

import asyncio

from orchestrator.policy import Limits
from orchestrator.store import claims, lanes
from orchestrator.store.claims import Claim
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, T0, add_tenant
from tests.store.claiming import add_ready, claim, end_attempts
from tests.store.rows import lane_of


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
    assert len(claimed) == 30 == await postgres_store.read(claims.count_in_flight, account_id=ACCOUNT)
    await end_attempts(postgres_store, claimed)
    assert len(await claim_all(postgres_store, workers=6, slots=10, rounds=4)) == 20
    assert (await lane_of(postgres_store)).tokens == 0
