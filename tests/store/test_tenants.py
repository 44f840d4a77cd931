"""Tenants are added, weighed and limited; what a limit is not told stays as it is."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.job import Phase
from orchestrator.store import keys, tenants
from orchestrator.store.store import Store
from orchestrator.store.tenants import Tenant, Terms
from tests.factories import T0, TENANT, add_jobs, add_tenant, make_creation, make_job, stored_job
from tests.store.claiming import add_ready, claim
from tests.store.rows import count


def listed(name: str = "shop", **changes: Any) -> Tenant:
    """A tenant as it is listed when nothing was said of it."""
    known = {"weight": 1.0, "max_in_flight": None, "max_queued": None, "keys": 0, "waiting": 0}
    return Tenant(name=name, **(known | changes))


async def shop_of(store: Store) -> Tenant:
    return next(one for one in await store.read(tenants.list_tenants) if one.name == "shop")


async def test_a_tenant_is_added_once(store: Store) -> None:
    assert await store.write(tenants.add_tenant, name="shop", terms=Terms(weight=2.0), now=T0)
    assert not await store.write(tenants.add_tenant, name="shop", terms=Terms(weight=5.0), now=T0)
    assert await shop_of(store) == listed(weight=2.0)


async def test_each_term_is_changed_alone_and_a_limit_can_be_lifted(store: Store) -> None:
    await store.write(tenants.add_tenant, name="shop", terms=Terms(max_in_flight=3), now=T0)
    for terms, expected in (
        (Terms(weight=3.0), listed(weight=3.0, max_in_flight=3)),
        (Terms(max_queued=0), listed(weight=3.0, max_in_flight=3, max_queued=0)),
        (Terms(max_in_flight=None), listed(weight=3.0, max_queued=0)),
    ):
        assert await store.write(tenants.change_tenant, name="shop", terms=terms)
        assert await shop_of(store) == expected
    assert not await store.write(tenants.change_tenant, name="nobody", terms=Terms(weight=3.0))


async def test_tenants_are_listed_with_good_keys_and_waiting_jobs(store: Store) -> None:
    for name in ("good", "bad"):
        await store.write(
            keys.create_key, key=name, name=name, tenant=TENANT, scopes=["read"], expires_at=None, now=T0
        )
    await store.write(keys.revoke_key, given="bad", now=T0)
    for phase in Phase:
        await stored_job(store, phase)
    assert await store.read(tenants.list_tenants) == [listed(TENANT, keys=1, waiting=2)]


async def test_a_limit_in_flight_counts_from_the_next_claim_on(store: Store) -> None:
    await add_ready(store, 20)
    for most, claimed in ((4, 4), (4, 0), (6, 2), (0, 0), (None, 14)):
        await store.write(tenants.change_tenant, name=TENANT, terms=Terms(max_in_flight=most))
        assert len(await claim(store)) == claimed


async def test_jobs_above_the_queues_limit_are_not_stored_and_those_of_others_are(store: Store) -> None:
    """Those that have ended take no place."""
    other = await store.write(add_tenant)
    await stored_job(store, Phase.COMPLETED)
    await stored_job(store, Phase.ACCEPTED)
    await store.write(tenants.change_tenant, name=TENANT, terms=Terms(max_queued=3))
    mine = [await store.create(make_creation(key=f"key-{number}")) for number in range(3)]
    assert [one.is_full for one in mine] == [False, False, True]
    assert not (await store.create(make_creation(make_job(tenant_id=other)))).is_full
    assert (await count(store, "jobs"), await count(store, "idempotency_keys")) == (5, 2)


async def test_the_key_of_a_job_that_was_not_stored_is_free_once_there_is_room(store: Store) -> None:
    await store.write(add_jobs, jobs=[make_job()])
    for most, is_full in ((1, True), (2, False)):
        await store.write(tenants.change_tenant, name=TENANT, terms=Terms(max_queued=most))
        created = await store.create(make_creation(key="once"))
        assert (created.is_full, created.is_replay, created.is_conflict) == (is_full, False, False)


async def test_the_same_key_twice_at_once_without_room_is_told_that_there_is_none(store: Store) -> None:
    await store.write(tenants.change_tenant, name=TENANT, terms=Terms(max_queued=0))
    both = await asyncio.gather(*(store.create(make_creation(key="once")) for _ in range(2)))
    assert [(one.is_full, one.is_gone) for one in both] == [(True, False), (True, False)]
