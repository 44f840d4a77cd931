"""An Idempotency-Key stands for what the first request with it made, whatever that is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from orchestrator.clock import DAY
from orchestrator.decision import Decide
from orchestrator.job import Phase
from orchestrator.store import endpoints, idempotency, retention
from orchestrator.store.changes import Change, apply_uncounted
from orchestrator.store.database import Database
from orchestrator.store.endpoints import Endpoint
from orchestrator.store.idempotency import Name, Once, Used, do_once
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, SetClock, add_tenant, make_creation, make_id, stored_job
from tests.store import decisions
from tests.store.locks import until_blocked
from tests.store.rows import count, job_of


def asked(key: str = "k", *, request: str = "a", tenant_id: str = TENANT, at: int = T0) -> Once:
    """A request that was never seen before; `request` stands for all that it says."""
    return Once(tenant_id, key, request.ljust(64, "0"), make_id(), at)


async def make(store: Store, once: Once | None) -> Any:
    """An endpoint, made once."""
    new = Endpoint(
        id=once.id if once else make_id(),
        tenant_id=once.tenant_id if once else TENANT,
        url="https://user.example/",
        host="user.example",
        events="job.completed",
        description="",
        scheme="v1",
        secret="sealed",
        created_at=T0,
    )
    given = {"new": new, "actor": "key 1"}
    return await store.write(do_once, once=once, do=endpoints.insert, arguments=given)


async def made_by(store: Store, once: Once) -> tuple[str, bool]:
    """The id of what the request makes or has made, and whether it was made by an earlier one like it."""
    try:
        await make(store, once)
    except Used as used:
        return used.first_id, used.is_same
    return once.id, False


async def test_without_a_key_everything_is_done_each_time(store: Store) -> None:
    assert await make(store, None)
    assert await make(store, None)
    assert (await count(store, "endpoints"), await count(store, "idempotency_keys")) == (2, 0)


async def test_the_same_request_is_done_once_and_told_whose_it_is(store: Store) -> None:
    first = asked()
    assert await make(store, first)
    assert await made_by(store, asked()) == (first.id, True)
    assert await count(store, "endpoints") == await count(store, "audit") == 1
    with pytest.raises(Used):
        await store.read(idempotency.require_free, once=asked())
    await store.read(idempotency.require_free, once=asked("another"))


async def test_another_request_under_the_key_does_nothing(store: Store) -> None:
    first = asked()
    await make(store, first)
    assert await made_by(store, asked(request="b")) == (first.id, False)
    assert await count(store, "endpoints") == 1


async def test_the_same_key_of_two_tenants_is_two_keys(store: Store) -> None:
    other = await store.write(add_tenant)
    await make(store, asked())
    await make(store, asked(tenant_id=other))
    assert await count(store, "endpoints") == 2


async def test_a_jobs_key_is_taken_for_everything_else_and_the_other_way_round(store: Store) -> None:
    job = (await store.create(make_creation(key="job's"))).job
    assert await made_by(store, asked("job's", request="b")) == (job.id, False)
    await make(store, asked("endpoint's"))
    created = await store.create(make_creation(key="endpoint's", request="b"))
    assert (created.is_conflict, created.is_replay) == (True, False)
    assert (await count(store, "jobs"), await count(store, "endpoints")) == (1, 1)


async def test_what_is_refused_leaves_its_key_free(store: Store) -> None:
    for _ in range(endpoints.MOST_PER_TENANT):
        await make(store, None)
    assert not await make(store, asked())
    assert await count(store, "idempotency_keys") == 0
    assert not await make(store, asked(request="b"))


async def test_a_key_is_free_again_once_it_is_forgotten(store: Store) -> None:
    first, week = asked(), T0 + 7 * DAY
    await make(store, first)
    await store.write(retention.delete_old_keys, before=week - 7 * DAY, most=10)
    assert await made_by(store, asked(at=week)) == (first.id, True)
    await store.write(retention.delete_old_keys, before=week + 1 - 7 * DAY, most=10)
    again = asked(at=week + 1)
    assert await made_by(store, again) == (again.id, False)
    assert await count(store, "endpoints") == 2


async def test_a_key_that_is_forgotten_while_it_is_asked_for_is_taken(
    postgres_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, read = postgres_store, idempotency._read
    await make(store, asked())

    def after_it_was_forgotten(connection: Connection, names: Iterable[Name]) -> dict[Name, tuple[str, str]]:
        monkeypatch.setattr(idempotency, "_read", read)
        await_only(store.write(retention.delete_old_keys, before=T0 + 1, most=10))
        return read(connection, names)

    monkeypatch.setattr(idempotency, "_read", after_it_was_forgotten)
    first = asked(at=T0 + 1)
    assert await made_by(store, first) == (first.id, False)
    assert await made_by(store, asked(at=T0 + 1)) == (first.id, True)


async def test_keys_are_taken_in_one_order_whatever_that_of_their_requests(postgres_store: Store) -> None:
    """One waits for `m` when another asks for what it holds, and for what it will ask for."""
    store, has_begun, go_on = postgres_store, asyncio.Event(), asyncio.Event()

    def slowly(connection: Connection) -> None:
        idempotency.take(connection, [asked("m")])
        has_begun.set()
        await_only(go_on.wait())

    slow = asyncio.create_task(store.write(slowly))
    await has_begun.wait()
    taking = []
    for keys in ("zma", "az"):
        requests = [asked(key) for key in keys]
        taking.append(asyncio.create_task(store.write(idempotency.take, requests=requests)))
        await until_blocked(store, len(taking))
    go_on.set()
    await asyncio.gather(slow, *taking)
    assert await count(store, "idempotency_keys") == 3


async def test_two_at_once_are_one(postgres: Database) -> None:
    stores = [Store(postgres, SetClock()) for _ in range(6)]
    made = await asyncio.gather(*(made_by(store, asked()) for store in stores))
    assert len({first_id for first_id, _ in made}) == 1
    assert sorted(is_replay for _, is_replay in made) == [False] + [True] * 5
    assert await count(stores[0], "endpoints") == 1


@pytest.mark.parametrize("is_refused", [False, True])
async def test_who_comes_while_the_first_is_being_done_waits_for_how_it_ends(
    postgres_store: Store, *, is_refused: bool
) -> None:
    store, first, second = postgres_store, asked(), asked()
    has_begun, end = asyncio.Event(), asyncio.Event()

    def slowly(_connection: Connection) -> bool:
        has_begun.set()
        await_only(end.wait())
        return not is_refused

    doing = asyncio.create_task(store.write(do_once, once=first, do=slowly, arguments={}))
    await has_begun.wait()
    making = asyncio.create_task(made_by(store, second))
    await until_blocked(store, 1)
    end.set()
    assert await doing is not is_refused
    assert await making == ((second.id, False) if is_refused else (first.id, True))


@pytest.mark.parametrize(
    ("is_same_job", "decide"), [(True, decisions.fail), (False, decisions.release)], ids=["job", "share"]
)
async def test_a_change_under_a_key_waits_for_a_group_and_not_the_group_for_it(
    postgres_store: Store, *, is_same_job: bool, decide: Decide
) -> None:
    """A group holds the jobs that it changes, and their shares, when it takes the keys of those that it
    creates. Neither is tried again here: a deadlock fails one of the two.
    """
    store = postgres_store
    await store.create(make_creation())  # which opens the share of all three
    mine, other = await stored_job(store, Phase.HELD), await stored_job(store, Phase.HELD)
    first, has_begun, go_on = asked(), asyncio.Event(), asyncio.Event()
    released = Change(job_id=mine.id, decide=decisions.release, source="client", event_id=make_id())

    def as_a_group(connection: Connection) -> None:
        apply_uncounted(connection, [released], now=T0, is_retry=False)
        has_begun.set()
        await_only(go_on.wait())
        idempotency.take(connection, [first])

    grouped = asyncio.create_task(store.write(as_a_group))
    await has_begun.wait()
    change = store.change(mine.id if is_same_job else other.id, decide, source="client", once=asked())
    changing = asyncio.create_task(change)
    await until_blocked(store, 1)
    go_on.set()
    await grouped
    with pytest.raises(Used) as used:
        await changing
    assert used.value.first_id == first.id
    assert [(await job_of(store, job.id)).phase for job in (mine, other)] == [Phase.READY, Phase.HELD]


async def test_a_change_under_a_key_is_a_change_like_any_other_and_done_once(store: Store) -> None:
    job = await stored_job(store, Phase.HELD)
    applied = await store.change(job.id, decisions.release, source="client", tenant_id=TENANT, once=asked())
    assert applied is not None
    assert applied.job == await job_of(store, job.id) == replace(job, phase=Phase.READY, held_for=None)
    with pytest.raises(Used):
        await store.change(job.id, decisions.fail, source="client", tenant_id=TENANT, once=asked())
    assert (await job_of(store, job.id)).phase == Phase.READY
    assert await count(store, "events") == 1


async def test_a_change_that_moves_nothing_leaves_its_key_free(store: Store) -> None:
    assert await store.change(make_id(), decisions.fail, source="client", once=asked()) is None
    job = await stored_job(store, Phase.HELD)
    assert await store.change(job.id, decisions.mark, source="client", once=asked())
    assert await store.change(job.id, decisions.fail, source="client", once=asked())
    assert (await job_of(store, job.id)).phase == Phase.FAILED
