"""PostgreSQL dies in the middle of a group: what was answered is stored, and nothing is half stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from orchestrator.decision import Applied
from orchestrator.errors import Busy
from orchestrator.evidence import Source
from orchestrator.job import Phase
from orchestrator.store import dialect, group, schema
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.database import Database, database_now, open_database
from orchestrator.store.group import Grouper
from orchestrator.store.store import Store
from orchestrator.store.trouble import CommitLost, DatabaseTrouble
from tests.factories import T0, SetClock, make_creation, make_id, stored_job
from tests.services.postgres import PostgresProcess
from tests.store import decisions
from tests.store.rows import count, counts, empty, fill, job_of, select

HOOK = "https://user.example/hook"


@pytest.fixture
async def own_database(own_postgres: PostgresProcess) -> AsyncIterator[Database]:
    opened = open_database(own_postgres.url)
    await opened.write(schema.upgrade)
    await opened.write(empty)
    await opened.write(fill)
    yield opened
    await opened.close()


async def test_what_was_answered_survives_the_servers_death(
    own_database: Database, own_postgres: PostgresProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "PAUSES_S", (0.0, 0.01))
    store = Store(own_database, SetClock())
    creations = [make_creation() for _ in range(600)]
    tasks = [asyncio.create_task(store.create(creation)) for creation in creations]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    own_postgres.kill()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(not isinstance(one, BaseException) or isinstance(one, Busy) for one in results)
    with pytest.raises(DatabaseTrouble):
        await store.create(make_creation())
    own_postgres.restart()
    answered = {one.job.id for one in results if not isinstance(one, BaseException)}
    stored = {row[0] for row in await select(store, "SELECT id FROM jobs")}
    assert answered
    assert answered <= stored
    assert len(stored) == await count(store, "events") == await count(store, "documents")
    await store.create(make_creation())


async def test_a_server_that_dies_before_or_in_the_commit_is_told_apart(
    own_database: Database, own_postgres: PostgresProcess
) -> None:
    def die(connection: Connection, *, is_done: bool) -> None:
        connection.execute(text("SELECT 1"))
        own_postgres.kill()
        if not is_done:
            connection.execute(text("SELECT 1"))

    with pytest.raises(CommitLost):
        await own_database.write(partial(die, is_done=True))
    own_postgres.restart()
    await own_database.read(database_now)
    with pytest.raises(DatabaseTrouble) as raised:
        await own_database.write(partial(die, is_done=False))
    assert not isinstance(raised.value, CommitLost)


async def test_a_restart_while_callers_wait_is_not_seen_by_them(
    own_database: Database, own_postgres: PostgresProcess
) -> None:
    store = Store(own_database, SetClock())
    jobs = [await stored_job(store, Phase.ACCEPTED, webhook=HOOK) for _ in range(5)]
    own_postgres.restart()
    await asyncio.gather(*(store.change(job.id, decisions.complete, source=Source.POLL) for job in jobs))
    stored = await counts(store)
    assert (stored["events"], stored["deliveries"]) == (5, 5)


async def test_a_backend_killed_in_mid_group_costs_a_retry_and_nothing_else(postgres: Database) -> None:
    """Everything of the group is written but not committed when the server ends the session."""
    terminated: list[int] = []

    def apply(connection: Connection, /, *, items: Sequence[Change], is_retry: bool) -> list[Applied | None]:
        applied = apply_changes(connection, items, now=T0, is_retry=is_retry)
        if not terminated:
            terminated.append(1)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return applied

    store = Store(postgres, SetClock())
    jobs = [await stored_job(store, Phase.ACCEPTED, webhook=HOOK) for _ in range(5)]
    grouper = Grouper(postgres, apply)
    changes = [
        Change(job_id=job.id, decide=decisions.complete, source=Source.POLL, event_id=make_id())
        for job in jobs
    ]
    applied = await asyncio.gather(*(grouper.put(change) for change in changes))
    assert terminated
    assert [one.note for one in applied] == ["completed"] * 5
    stored = await counts(store)
    assert (stored["events"], stored["deliveries"]) == (5, 5)
    assert (await job_of(store, jobs[0].id)).phase == Phase.COMPLETED


def _backend(connection: Connection) -> int:
    ((pid,),) = dialect.fetch(connection, "SELECT pg_backend_pid()", {})
    return int(pid)


async def test_a_connection_that_died_while_it_lay_idle_is_not_used_again(migrated_postgres: str) -> None:
    database = open_database(migrated_postgres, pool_size=1)
    other = open_database(migrated_postgres, pool_size=1)
    dead = await database.write(_backend)
    end = partial(dialect.run, statement="SELECT pg_terminate_backend(:pid, 5000)", values={"pid": dead})
    await other.write(end)
    await asyncio.sleep(0.1)  # until its end has come here, too
    assert await database.write(_backend) != dead
    await database.close()
    await other.close()


async def test_a_connection_whose_statement_was_cancelled_is_not_used_again(migrated_postgres: str) -> None:
    database = open_database(migrated_postgres, pool_size=1)
    before = await database.write(_backend)
    sleeping = partial(dialect.run, statement="SELECT pg_sleep(60)", values={})
    task = asyncio.create_task(database.write(sleeping))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.write(_backend) != before
    await database.close()


async def test_statements_that_were_read_for_another_schema_are_read_again(
    new_postgres_database: Callable[[], str],
) -> None:
    url = new_postgres_database()
    database, other = open_database(url, pool_size=4), open_database(url, pool_size=1)
    await other.write(partial(dialect.run, statement="CREATE TABLE kept (a integer)", values={}))
    await other.write(partial(dialect.run, statement="INSERT INTO kept VALUES (7)", values={}))
    read = partial(dialect.fetch, statement="SELECT a FROM kept", values={})

    async def read_by_all() -> set[Any]:
        """Each by a connection of its own."""
        return {tuple(rows[0]) for rows in await asyncio.gather(*(database.write(read) for _ in range(4)))}

    assert await read_by_all() == {(7,)}
    change = "ALTER TABLE kept ALTER COLUMN a TYPE text"
    await other.write(partial(dialect.run, statement=change, values={}))
    with pytest.raises(DatabaseTrouble):  # the first to notice
        await database.write(read)
    assert await read_by_all() == {("7",)}
    await database.close()
    await other.close()
