"""The event log is read in the order of its commits: nothing twice, nothing overlooked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from orchestrator.job import Phase
from orchestrator.lifecycle import Verb
from orchestrator.store import event_log, figures, retention, schema, series
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.database import Database
from orchestrator.store.event_log import START, Cursor, EventRow
from orchestrator.store.store import Store
from tests.factories import IMAGE_LANE, T0, TENANT, SetClock, make_creation, make_id, stored_job
from tests.store import decisions
from tests.store.bulk import running
from tests.store.claiming import add_ready, claim
from tests.store.rows import execute, select


async def read(store: Store, cursor: Cursor = START, **asked: Any) -> tuple[list[EventRow], Cursor]:
    return await store.read(event_log.events_after, cursor=cursor, **asked)


async def verbs(store: Store, cursor: Cursor = START, **asked: Any) -> list[str]:
    return [event.verb for event in (await read(store, cursor, **asked))[0]]


async def complete(store: Store, job_id: str) -> None:
    await store.change(job_id, decisions.complete, source="poll")


async def test_the_whole_path_of_a_job_is_in_the_log_in_order(store: Store) -> None:
    job = (await store.create(make_creation())).job
    await claim(store, slots=1)
    await complete(store, job.id)
    found, _ = await read(store)
    assert [(one.verb, one.job_id, one.state) for one in found] == [
        (Verb.CREATE, job.id, "created"),
        (Verb.CLAIM, job.id, "processing"),
        (Verb.COMPLETE, job.id, "completed"),
    ]
    assert [one.cursor for one in found] == sorted(one.cursor for one in found)
    assert {(one.tenant_id, one.batch_id) for one in found} == {(TENANT, None)}


async def test_a_batch_tells_its_jobs_and_at_last_its_own_end(store: Store) -> None:
    batch = await running(store, 2)
    for claimed in await claim(store, slots=2):
        await complete(store, claimed.job.id)
    found, _ = await read(store, batch_id=batch.id)
    assert {one.batch_id for one in found} == {batch.id}
    assert [one.verb for one in found] == [
        *("release", "release"),
        *("claim", "claim"),
        *("complete", "complete"),
        "finish",
    ]
    assert (found[-1].job_id, found[-1].state, found[-1].because) == (
        None,
        "completed",
        "2 completed, 0 failed",
    )


async def test_pages_follow_one_another_without_a_gap(store: Store) -> None:
    await add_ready(store, 10)
    await claim(store, slots=10)
    whole, end = await read(store)
    pages: list[EventRow] = []
    cursor = START
    while (page := await read(store, cursor, most=3))[1] != cursor:
        pages += page[0]
        cursor = page[1]
    assert pages == whole
    assert (len(whole), cursor) == (10, end)
    assert await read(store, end) == ([], end)


async def test_a_page_moves_on_past_what_was_not_asked_for(store: Store) -> None:
    await store.create(make_creation())
    found, cursor = await read(store, tenant_id=make_id())
    assert found == []
    assert cursor > START
    assert await verbs(store, tenant_id=TENANT) == ["create"]


async def test_the_newest_cursor_lies_before_all_that_is_to_come(store: Store) -> None:
    await store.create(make_creation())
    newest = await store.read(event_log.newest_cursor)
    assert await verbs(store, newest) == []
    await add_ready(store, 1)
    await claim(store, slots=1)
    assert await verbs(store, newest) == ["claim"]
    assert await verbs(store, until=newest) == ["create"]


async def test_one_jobs_events_are_read_for_its_tenant_alone(store: Store) -> None:
    job, _ = [(await store.create(make_creation())).job for _ in range(2)]
    until = (await read(store))[1]
    await claim(store, slots=2)
    asked = {"job_id": job.id, "until": until}
    found = await store.read(event_log.events_of_job, tenant_id=TENANT, **asked)
    assert [(one.job_id, one.verb) for one in found] == [(job.id, "create")]
    assert await store.read(event_log.events_of_job, tenant_id=make_id(), **asked) == []


async def test_what_comes_after_a_deletion_of_the_newest_is_not_overlooked(store: Store) -> None:
    """SQLite gives a number that is free again to the next row, unless it is told not to."""
    job = await stored_job(store, Phase.ACCEPTED)
    await complete(store, job.id)
    _, cursor = await read(store)
    await store.write(retention.delete_old, ended_from=0, ended_before=T0 + 1, most=10)
    newest = await store.read(event_log.newest_cursor)
    await store.create(make_creation())
    assert await verbs(store, cursor) == await verbs(store, newest) == ["create"]


async def test_a_batchs_end_stands_behind_its_jobs_whichever_transaction_was_younger(
    postgres: Database,
) -> None:
    store = Store(postgres, SetClock())
    batch = await running(store, 2)
    one, other = await claim(store, slots=2)
    begun, release = asyncio.Event(), asyncio.Event()

    def complete_late(connection: Connection) -> None:
        connection.execute(text("SELECT pg_current_xact_id()"))
        begun.set()
        await_only(release.wait())
        change = Change(job_id=other.job.id, decide=decisions.complete, source="poll", event_id=make_id())
        apply_changes(connection, [change], now=T0, is_retry=False)

    older = asyncio.create_task(store.write(complete_late))
    await begun.wait()
    await complete(store, one.job.id)
    release.set()
    await older
    assert (await verbs(store, batch_id=batch.id))[-3:] == ["complete", "complete", "finish"]


async def test_what_is_committed_late_is_not_overlooked(postgres: Database) -> None:
    """One transaction gets its numbers first and is committed last."""
    store = Store(postgres, SetClock())
    late, soon = [await stored_job(store, Phase.ACCEPTED) for _ in range(2)]
    written, release = asyncio.Event(), asyncio.Event()

    def complete_late(connection: Connection) -> None:
        change = Change(job_id=late.id, decide=decisions.complete, source="poll", event_id=make_id())
        apply_changes(connection, [change], now=T0, is_retry=False)
        written.set()
        await_only(release.wait())

    holding = asyncio.create_task(store.write(complete_late))
    await written.wait()
    await complete(store, soon.id)
    naive = await select(store, "SELECT max(seq) FROM events")
    seen, cursor = await read(store)
    release.set()
    await holding
    overlooked = await select(store, "SELECT job_id FROM events WHERE seq < :seq", seq=naive[0][0])
    assert overlooked == [(late.id,)], "a reader that remembers the greatest number would miss it"
    rest, _ = await read(store, cursor)
    assert [one.job_id for one in (*seen, *rest)] == [late.id, soon.id]


async def test_a_transaction_that_only_reads_keeps_no_reader_waiting(postgres: Database) -> None:
    store = Store(postgres, SetClock())
    begun, release = asyncio.Event(), asyncio.Event()

    def look(connection: Connection) -> None:
        event_log.newest_cursor(connection)
        begun.set()
        await_only(release.wait())

    looking = asyncio.create_task(store.read(look))
    await begun.wait()
    await store.create(make_creation())
    assert await verbs(store) == ["create"]
    release.set()
    await looking


async def test_a_log_from_another_server_is_read_before_all_that_follows(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump was put into a server whose transactions have not come that far."""
    store = Store(postgres, SetClock())
    await add_ready(store, 3)
    await claim(store, slots=3)
    await execute(store, "UPDATE events SET xid = 1000000000 + seq")
    assert await verbs(store) == []
    monkeypatch.setattr(event_log, "_ADOPTED_AT_A_TIME", 2)
    await store.write(schema.upgrade)
    _, cursor = await read(store)
    assert await verbs(store) == ["claim"] * 3
    await store.create(make_creation())
    assert await verbs(store, cursor) == ["create"]


async def test_what_is_counted_goes_on_in_another_server(postgres: Database) -> None:
    store = Store(postgres, SetClock())
    await store.create(make_creation())
    assert await store.write(figures.follow, most=10) == 1
    await store.create(make_creation())
    await execute(store, "UPDATE events SET xid = 1000000000 + seq")
    await execute(
        store,
        "UPDATE followers SET place = :place",
        place=str(Cursor(*(await select(store, "SELECT min(xid), min(seq) FROM events"))[0])),
    )
    await store.write(schema.upgrade)
    await store.create(make_creation())
    assert await store.write(figures.follow, most=10) == 2
    assert (await store.read(series.stages))[IMAGE_LANE]["ready"] == 3


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1", "1-2-3", "x-1", "1-1 ", "A-1", "1" * 16 + "-1", "1-1\n"]
)
def test_what_is_no_cursor_is_told_apart(text: str) -> None:
    assert event_log.parse_cursor(text) is None


@pytest.mark.parametrize("cursor", [START, Cursor(0, 17), Cursor(750, 2**60 - 1)])
def test_a_cursor_is_read_back_from_its_text(cursor: Cursor) -> None:
    assert event_log.parse_cursor(str(cursor)) == cursor


async def test_a_move_never_stands_before_the_one_that_it_followed(store: Store) -> None:
    """The older transaction comes to a job that a younger one has made meanwhile."""
    if store.database.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    other = (await store.create(make_creation())).job
    began, may_go_on = asyncio.Event(), asyncio.Event()
    made: list[str] = []

    def late(connection: Connection) -> None:
        connection.execute(text("UPDATE jobs SET tries = tries WHERE id = :id"), {"id": other.id})
        began.set()
        await_only(may_go_on.wait())
        change = Change(job_id=made[0], decide=decisions.fail, source="test", event_id=make_id())
        apply_changes(connection, [change], now=T0, is_retry=False)

    older = asyncio.create_task(store.database.write(late))
    await began.wait()
    made.append((await store.create(make_creation())).job.id)
    may_go_on.set()
    await older
    found, _ = await read(store)
    assert [one.verb for one in found if one.job_id == made[0]] == ["create", "fail"]
