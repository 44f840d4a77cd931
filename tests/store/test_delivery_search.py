"""Deliveries are found by any filter, of one tenant or of all, and a look has an end that is told."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.ids import new_id
from orchestrator.store import delivery_search
from orchestrator.store.delivery_search import Asked, Page
from orchestrator.store.store import Store
from tests.factories import T0, TENANT
from tests.store.rows import execute
from tests.store.test_deliveries import ended_job, take
from tests.store.test_delivery_log import dead_delivery, record

ANOTHER = new_id(T0 - 7)


async def search(store: Store, *, most: int = 50, look_through: int = 100, **asked: Any) -> Page:
    return await store.read(
        delivery_search.search, asked=Asked(**asked), most=most, look_through=look_through
    )


async def ids(store: Store, **asked: Any) -> list[str]:
    return [one.id for one in (await search(store, **asked)).items]


async def made(store: Store, host: str = "user.example") -> str:
    """The id of a pending delivery to this host."""
    return f"{(await ended_job(store, host)).id}-1"


@pytest.mark.parametrize("tenant", [TENANT, None], ids=["of one", "of all"])
async def test_each_filter_finds_its_own_and_newest_first(store: Store, tenant: str | None) -> None:
    dead = await dead_delivery(store)
    first, other, last = await made(store), await made(store, "other.example"), await made(store)
    assert await ids(store, tenant_id=tenant) == [last, other, first, dead]
    assert await ids(store, tenant_id=tenant, state="dead") == [dead]
    assert await ids(store, tenant_id=tenant, state="pending") == [last, other, first]
    assert await ids(store, tenant_id=tenant, host="other.example") == [other]
    assert await ids(store, tenant_id=tenant, job_id=first.partition("-")[0]) == [first]
    assert await ids(store, tenant_id=tenant, before_id=other) == [first, dead]


async def test_another_tenants_are_neither_listed_nor_found(store: Store) -> None:
    delivery_id = await made(store)
    assert await ids(store, tenant_id=ANOTHER) == []
    find = delivery_search.find
    assert await store.read(find, delivery_id=delivery_id, tenant_id=ANOTHER) is None
    found = await store.read(find, delivery_id=delivery_id, tenant_id=None)
    assert found is not None
    assert (found.id, found.tenant_id) == (delivery_id, TENANT)


async def test_those_of_a_batch_are_its_own_end_and_its_jobs(store: Store) -> None:
    batch_id = new_id(T0)
    of_job, _other = await made(store), await made(store)
    await execute(
        store,
        "UPDATE jobs SET batch_id = :batch, line = 1 WHERE id = :job",
        batch=batch_id,
        job=of_job.partition("-")[0],
    )
    assert await ids(store, batch_id=batch_id) == [of_job]


async def test_a_page_leads_to_the_next(store: Store) -> None:
    made_ids = [await made(store) for _ in range(3)]
    page = await search(store, most=2)
    assert ([one.id for one in page.items], page.is_cut) == (made_ids[:0:-1], False)
    assert await ids(store, before_id=page.next_id) == made_ids[:1]


async def test_a_look_that_ends_before_all_is_seen_says_where_to_go_on(store: Store) -> None:
    wanted = await made(store, "other.example")
    for _ in range(3):
        await made(store)
    page = await search(store, host="other.example", look_through=2)
    assert (page.items, page.is_cut) == ([], True)
    assert await ids(store, host="other.example", look_through=2, before_id=page.next_id) == [wanted]


async def test_a_receiver_tells_its_states_and_its_last_failure(store: Store) -> None:
    await dead_delivery(store, at=T0 + 9)
    await made(store, "good.example")
    (good,) = [one for one in await take(store) if one.host == "good.example"]
    await record(store, good, status=204, is_delivered=True, due_at=None)
    bad, well = await store.read(delivery_search.receivers, tenant_id=TENANT)
    assert (bad.host, bad.dead, bad.delivered, bad.pending) == ("user.example", 1, 0, 0)
    assert (bad.last_status, bad.failed_at) == (410, T0 + 9)
    assert (well.host, well.delivered, well.failed_at) == ("good.example", 1, None)


async def test_the_owners_of_what_was_given_up_since_then_are_found(store: Store) -> None:
    await dead_delivery(store, at=T0 + 9)
    for since, tenant, owners in ((T0 + 9, None, [TENANT]), (T0 + 10, None, []), (T0, ANOTHER, [])):
        assert await store.read(delivery_search.owners_of_dead, since=since, tenant_id=tenant) == owners
