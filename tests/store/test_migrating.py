"""`migrate` beside programs that run, on PostgreSQL: it keeps nobody from writing, and runs but once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, text

from orchestrator.errors import Misconfigured
from orchestrator.store import database, schema
from orchestrator.store.database import PostgresDatabase, open_database
from orchestrator.store.store import Store
from tests.cli.conftest import PROJECT
from tests.factories import SetClock
from tests.store.locks import held, until_blocked
from tests.store.rows import count, execute, select
from tests.store.test_migrations import differences

ADD = (
    "INSERT INTO deliveries (id, endpoint_id, tenant_id, event, scheme, url, host, ending, state, created_at,"
    " finished_at) VALUES (:id, 'e', 't', 'job.dead', 'v1', 'https://there', 'there', '1', 'dead', 1, 1)"
)
ADD_LINE = (
    "INSERT INTO audit (id, tenant_id, at, actor, action, object)"
    " VALUES (:id, 't', 1, 'key 1', 'delete task', 'task-1')"
)
INDEXED = [("deliveries", ADD, "ix_deliveries_died"), ("audit", ADD_LINE, "ix_audit_deleted_tasks")]
OLD = (
    "DROP INDEX ix_audit_deleted_tasks",
    "DROP INDEX ix_deliveries_died",
    "DROP INDEX ix_deliveries_died_of_all",
    "ALTER TABLE accounts DROP COLUMN open_from",
    "UPDATE alembic_version SET version_num = '0002'",
)


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    """A database before the indexes of dead deliveries."""
    opened = open_database(postgres_url)
    assert isinstance(opened, PostgresDatabase)
    await schema.bring_up_to_date(opened)
    for statement in OLD:
        await execute(Store(opened, SetClock()), statement)
    yield opened
    await opened.close()


@asynccontextmanager
async def migrating(
    url: str, *command: str, **settings: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """The command with what it says; killed where it is not over when the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "orchestrator.cli", *(command or ("migrate",))),
        env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "DATABASE_URL": url, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        yield process, process.stderr
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def migrated(url: str) -> tuple[int | None, str]:
    """Its exit code and the last that it says: before that it may have waited for another."""
    async with migrating(url) as (process, _):
        _, told = await process.communicate()
    return process.returncode, told.decode().splitlines()[-1]


@pytest.mark.parametrize(("table", "add", "_index"), INDEXED)
async def test_others_write_while_an_index_is_built(
    old: PostgresDatabase, table: str, add: str, _index: str
) -> None:
    store = Store(old, SetClock())
    await execute(store, add, id="before")
    async with held(old, lambda connection: connection.execute(text(add), {"id": "slow"})) as may_end:
        migrating = asyncio.create_task(schema.bring_up_to_date(old))
        async with asyncio.timeout(30):
            await until_blocked(store, 1)
            await execute(store, add, id="beside")
            assert not migrating.done()
            may_end.set()
            await migrating
    assert await count(store, table) == 3
    assert await old.write(differences) == []


async def test_claims_go_on_while_the_figures_are_rebuilt(old: PostgresDatabase) -> None:
    store = Store(old, SetClock())
    async with held(old, lambda connection: connection.execute(text("SELECT 1 FROM figures LIMIT 1"))):
        migrating = asyncio.create_task(schema.bring_up_to_date(old))
        async with asyncio.timeout(30):
            await until_blocked(store, 1)
            await execute(store, "UPDATE accounts SET trouble = NULL")
    await migrating
    assert await old.write(differences) == []


@pytest.mark.parametrize(("table", "add", "index"), INDEXED)
async def test_an_index_whose_build_was_broken_off_is_built_again(
    old: PostgresDatabase, table: str, add: str, index: str
) -> None:
    store = Store(old, SetClock())
    await execute(store, add, id="before")
    await execute(store, f"CREATE INDEX {index} ON {table} (id)")

    await schema.bring_up_to_date(old)

    assert await old.write(differences) == []


async def test_two_at_once_are_one_after_the_other(old: PostgresDatabase, postgres_url: str) -> None:
    await execute(Store(old, SetClock()), ADD, id="before")

    first, second = await asyncio.gather(migrated(postgres_url), migrated(postgres_url))
    assert first == second == (0, "The database is at the newest version.")

    assert await old.write(differences) == []


async def test_two_at_once_on_a_new_database_are_one_after_the_other(postgres_url: str) -> None:
    first, second = await asyncio.gather(migrated(postgres_url), migrated(postgres_url))
    assert first == second == (0, "The database is at the newest version.")


def another_at_work(old: PostgresDatabase) -> AbstractAsyncContextManager[asyncio.Event]:
    """Has its turn to migrate until it may end, and no longer than the block."""

    def take_turn(connection: Connection) -> None:
        assert connection.scalar(database._TAKE_TURN)

    return held(old, take_turn, give_back="SELECT pg_advisory_unlock_all()")


async def test_one_that_waits_for_another_says_so(old: PostgresDatabase, postgres_url: str) -> None:
    async with another_at_work(old) as may_end, migrating(postgres_url) as (_, told):
        assert await told.readline() == b"Another migrate is at work; waiting for it.\n"
        may_end.set()
        assert await told.read() == b"The database is at the newest version.\n"


async def test_a_server_that_waits_for_one_says_so(
    old: PostgresDatabase, postgres_url: str, tmp_path: Path
) -> None:
    settings = {"ORCHESTRATOR_DATA_DIR": str(tmp_path), "WAVESPEED_API_KEY": "any"}
    up = migrating(postgres_url, "up", "--port", "0", **settings)
    async with another_at_work(old) as may_end, up as (process, told):
        said = msgspec.json.decode(await told.readline())
        assert (said["event"], said["level"]) == ("migrate.waits", "warning")
        assert not (tmp_path / "server.json").exists()
        may_end.set()
        while (line := await told.readline()) and b"Orchestrator is up." not in line:
            pass
        assert line
        process.terminate()
        await process.communicate()
    assert await old.read(schema.is_current)


async def test_a_lock_that_is_not_given_back_is_told_as_such(
    old: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._MIGRATING, "lock_timeout", "50")
    lock = text("LOCK TABLE deliveries IN ROW EXCLUSIVE MODE")
    async with held(old, lambda connection: connection.execute(lock)):
        with pytest.raises(Misconfigured, match=r"takes too long, such as another .* \(LockNotAvailable"):
            await schema.bring_up_to_date(old)
    await schema.bring_up_to_date(old)
    assert await old.read(schema.is_current)


async def test_a_migration_may_take_longer_than_a_servers_statement(
    old: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    [name] = await select(Store(old, SetClock()), "SELECT current_database()")
    await execute(Store(old, SetClock()), f'ALTER DATABASE "{name[0]}" SET statement_timeout = 1')
    monkeypatch.setattr(schema, "_migrate", lambda found: found.execute(text("SELECT pg_sleep(0.1)")))
    await schema.bring_up_to_date(old)
