"""Every store test runs on both databases: SQLite in a file of its own, PostgreSQL in one that is emptied."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.store import schema
from orchestrator.store.database import Database, open_database
from orchestrator.store.store import Store
from tests.factories import SetClock
from tests.store.rows import empty, fill


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "orchestrator.db"
    _in_thread(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(new_postgres_database: Callable[[], str]) -> str:
    """A PostgreSQL database with the schema, shared by this process's tests one after another."""
    url = new_postgres_database()
    _in_thread(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the schema and no row."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("migrated_postgres"))
    copy = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "orchestrator.db")
    return f"sqlite:///{copy}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with the account, its two lanes and one tenant."""
    opened = open_database(database_url)
    await opened.write(empty)
    await opened.write(fill)
    yield opened
    await opened.close()


@pytest.fixture
async def store(database: Database) -> Store:
    """A store whose clock stands at T0; closed with its database."""
    return Store(database, SetClock())


@pytest.fixture
async def postgres(migrated_postgres: str) -> AsyncIterator[Database]:
    """For races that SQLite, with its one writer, cannot have."""
    opened = open_database(migrated_postgres, pool_size=12)
    await opened.write(empty)
    await opened.write(fill)
    yield opened
    await opened.close()


@pytest.fixture
async def postgres_store(postgres: Database) -> Store:
    return Store(postgres, SetClock())


def _in_thread(url: str) -> None:
    """Migrate outside the tests' event loop, which may be running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _migrate(url)).result()


async def _migrate(url: str) -> None:
    database = open_database(url)
    await database.write(schema.upgrade)
    await database.close()
