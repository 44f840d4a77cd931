"""The group writer: one commit for many callers, and what each caller hears when something goes wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as PostgresDriver
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import Busy
from orchestrator.job import Phase
from orchestrator.store import dialect, group, many_rows
from orchestrator.store.database import Database, open_database
from orchestrator.store.group import Grouper
from orchestrator.store.store import Store
from orchestrator.store.trouble import CommitLost, DatabaseTrouble, RowRefused, TookTooLong
from tests.factories import SetClock, make_creation, stored_job
from tests.store import decisions
from tests.store.faulty import FaultyDatabase
from tests.store.rows import count, counts, job_of


class _Writes:
    """An `apply` that remembers how its items came in groups and refuses those that are negative."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    def __call__(self, _connection: Connection, /, *, items: Sequence[int], is_retry: bool) -> list[int]:
        self.groups.append(list(items))
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [item * 10 for item in items]


async def test_callers_of_one_moment_share_one_transaction(database: Database) -> None:
    writes = _Writes()
    grouper = Grouper(database, writes)
    results = await asyncio.gather(*(grouper.put(n) for n in range(group.MOST + 50)))
    assert results == [n * 10 for n in range(group.MOST + 50)]
    assert [len(one) for one in writes.groups] == [group.MOST, 50]


async def test_a_bad_item_is_found_by_halving_and_fails_alone(database: Database) -> None:
    grouper = Grouper(database, _Writes())
    items = [1, 2, -3, 4, 5, -6, 7]
    results = await asyncio.gather(*(grouper.put(item) for item in items), return_exceptions=True)
    assert [item for item, result in zip(items, results, strict=True) if isinstance(result, ValueError)] == [
        -3,
        -6,
    ]
    assert [result for result in results if isinstance(result, int)] == [10, 20, 40, 50, 70]


class _Locks(_Writes):
    """One for which somebody keeps the item 3 locked."""

    def __init__(self) -> None:
        super().__init__()
        self.is_locked = True
        self.began = asyncio.Event()
        self.retries: list[bool] = []

    def __call__(self, connection: Connection, /, *, items: Sequence[int], is_retry: bool) -> list[int]:
        self.began.set()
        self.retries.append(is_retry)
        results = super().__call__(connection, items=items, is_retry=is_retry)
        if self.is_locked and 3 in items:
            raise TookTooLong(cause="somebody has it locked")
        return results


async def test_what_waits_for_a_lock_is_tried_until_it_gets_it_and_keeps_no_other(database: Database) -> None:
    writes = _Locks()
    grouper = Grouper(database, writes)
    first = [asyncio.create_task(grouper.put(n)) for n in (1, 2, 3, -4, 5)]
    await writes.began.wait()
    later = asyncio.create_task(grouper.put(6))
    stuck = first.pop(2)
    results = await asyncio.gather(*first, later, return_exceptions=True)
    assert isinstance(results.pop(2), ValueError)
    assert results == [10, 20, 50, 60]
    assert not stuck.done()
    writes.is_locked = False
    assert await stuck == 30
    once = ([1, 2, 3, -4, 5], [6])
    assert writes.retries == [items not in once for items in writes.groups]


async def test_what_waits_too_long_for_a_lock_tells_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "ASIDE_S", 0.0)
    with pytest.raises(TookTooLong):
        await Grouper(database, _Locks()).put(3)


async def test_closing_writes_what_was_put_aside(database: Database) -> None:
    writes = _Locks()
    grouper = Grouper(database, writes)
    stuck, other = (asyncio.create_task(grouper.put(n)) for n in (3, 4))
    assert await other == 40
    closing = asyncio.create_task(grouper.close())
    await asyncio.sleep(0)
    assert not closing.done()
    writes.is_locked = False
    await closing
    assert await stuck == 30


async def test_a_lost_commit_is_told_though_the_next_tries_wait_too_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "PAUSES_S", (0.0, 0.001))

    def write_or_wait(_connection: Connection, /, *, items: Sequence[int], is_retry: bool) -> Sequence[int]:
        if is_retry:
            raise TookTooLong(cause="somebody has one of them locked")
        return items

    grouper = Grouper(FaultyDatabase(database, lost_after=1), write_or_wait)
    results = await asyncio.gather(*(grouper.put(n) for n in (1, 2)), return_exceptions=True)
    assert [type(result) for result in results] == [CommitLost] * 2


async def test_a_cancelled_caller_does_not_cancel_the_group(store: Store) -> None:
    jobs = [await stored_job(store, Phase.HELD) for _ in range(3)]
    tasks = [asyncio.create_task(store.change(job.id, decisions.release, source="client")) for job in jobs]
    await asyncio.sleep(0)  # each has put its change, and none is written yet
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert [(await job_of(store, job.id)).phase for job in jobs] == [Phase.READY] * 3


async def test_a_full_buffer_is_busy_and_takes_more_once_it_is_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "BOUND", 3)
    puts = [asyncio.create_task(store.create(make_creation())) for _ in range(5)]
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(result, Busy) for result in results] == [False] * 3 + [True] * 2
    await store.create(make_creation())
    assert await count(store, "jobs") == 4


async def test_closing_writes_what_is_waiting(database: Database) -> None:
    writes = _Writes()
    grouper = Grouper(database, writes)
    waiting = asyncio.create_task(grouper.put(7))
    await asyncio.sleep(0)
    await grouper.close()
    assert writes.groups == [[7]]
    assert await waiting == 70


async def test_trouble_that_passes_is_not_seen_by_callers(database: Database) -> None:
    faulty = FaultyDatabase(database, lost_before=2)
    store = Store(faulty, SetClock())
    await asyncio.gather(*(store.create(make_creation()) for _ in range(3)))
    assert await count(store, "jobs") == await count(store, "events") == 3


async def test_trouble_that_stays_is_told_to_every_caller_and_leaves_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "PAUSES_S", (0.0, 0.001))
    store = Store(FaultyDatabase(database, lost_before=2), SetClock())
    results = await asyncio.gather(
        *(store.create(make_creation(key=f"{n}")) for n in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [DatabaseTrouble] * 3
    assert set((await counts(store)).values()) == {0}
    await store.create(make_creation())
    assert await count(store, "jobs") == 1


async def test_a_statement_that_takes_too_long_is_trouble_and_leaves_nothing(postgres: Database) -> None:
    def stored_then_stuck(connection: Connection) -> Any:
        connection.execute(text("INSERT INTO tenants (id, name, created_at) VALUES ('x', 'x', 1)"))
        connection.execute(text("SET LOCAL statement_timeout = 20"))
        connection.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(DatabaseTrouble):
        await postgres.write(stored_then_stuck)
    left = await postgres.read(lambda c: c.execute(text("SELECT count(*) FROM tenants WHERE id = 'x'")))
    assert left.scalar_one() == 0


async def test_a_database_that_does_not_let_us_in_is_trouble(migrated_postgres: str) -> None:
    nowhere = open_database(migrated_postgres.replace("/test_", "/gone_"))
    with pytest.raises(DatabaseTrouble):
        await nowhere.read(lambda connection: connection.execute(text("SELECT 1")))
    await nowhere.close()


async def test_a_sqlite_file_that_somebody_else_keeps_locked_is_trouble(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    ours, other = open_database(url), sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    await ours.write(lambda connection: connection.execute(text("PRAGMA busy_timeout = 1")))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseTrouble):
        await ours.write(lambda connection: connection.execute(text("CREATE TABLE kept (id INTEGER)")))
    other.execute("ROLLBACK")
    await ours.write(lambda connection: connection.execute(text("CREATE TABLE kept (id INTEGER)")))
    other.close()
    await ours.close()


async def test_a_wrong_statement_is_no_trouble_but_a_defect_of_ours(database: Database) -> None:
    with pytest.raises(DBAPIError, match="no_such_column"):
        await database.read(lambda connection: connection.execute(text("SELECT no_such_column FROM jobs")))


async def test_a_wrong_statement_that_goes_straight_to_the_driver_is_a_defect_as_well(
    database: Database,
) -> None:
    with pytest.raises((PostgresDriver.Error, sqlite3.OperationalError), match="no_such_column"):
        await database.read(
            lambda connection: dialect.fetch(connection, "SELECT no_such_column FROM jobs", {})
        )


async def test_a_row_that_goes_straight_to_the_driver_may_be_refused(database: Database) -> None:
    with pytest.raises(RowRefused):
        await database.write(
            lambda connection: many_rows.insert_tuples(connection, "documents", ("job_id",), [("a",)])
        )
