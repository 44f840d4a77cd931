"""The migrations build exactly the tables that the code speaks of, on both databases, and can go back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, inspect, text

from orchestrator import tables
from orchestrator.errors import Misconfigured
from orchestrator.store import schema
from orchestrator.store.database import Database, open_database

CHECKS = {
    str(constraint.name)
    for table in tables.metadata.tables.values()
    for constraint in table.constraints
    if isinstance(constraint, CheckConstraint)
}
PARTIAL_INDEXES = {
    str(index.name): str(index.dialect_options["sqlite"]["where"])
    for table in tables.metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of this test's own, without the schema."""
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'new.db'}" if is_file else request.getfixturevalue("postgres_url")
    opened = open_database(url)
    yield opened
    await opened.close()


def differences(connection: Connection) -> list[object]:
    # Alembic reads SQLite's empty text as no default at all.
    opts = {"compare_server_default": connection.dialect.name == "postgresql"}
    context = MigrationContext.configure(connection, opts=opts)
    return list(compare_metadata(context, tables.metadata))


def table_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def downgrade(connection: Connection) -> None:
    config = schema._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "base")


def check_constraints(connection: Connection) -> set[str]:
    inspector = inspect(connection)
    return {
        str(check["name"])
        for table in table_names(connection)
        for check in inspector.get_check_constraints(table)
    }


def partial_indexes(connection: Connection) -> dict[str, str]:
    """Name and condition; PostgreSQL puts it in parentheses and names the types of its values."""
    inspector = inspect(connection)
    return {
        str(index["name"]): str(condition).replace("::text", "").replace("(", "").replace(")", "")
        for table in table_names(connection)
        for index in inspector.get_indexes(table)
        if (condition := index["dialect_options"].get(f"{connection.dialect.name}_where")) is not None
    }


async def test_the_migrations_build_the_tables(database: Database) -> None:
    assert await database.write(differences) == []
    assert await database.read(check_constraints) == CHECKS
    assert await database.read(partial_indexes) == PARTIAL_INDEXES


async def test_both_databases_have_checks_and_partial_indexes_to_compare() -> None:
    assert len(CHECKS) >= 7
    assert len(PARTIAL_INDEXES) >= 8


async def test_a_new_database_is_not_current_until_it_is_upgraded(empty_database: Database) -> None:
    assert not await empty_database.read(schema.is_current)
    await empty_database.write(schema.upgrade)
    assert await empty_database.read(schema.is_current)
    await empty_database.write(schema.upgrade)
    assert await empty_database.write(differences) == []


async def test_a_downgrade_leaves_nothing_and_an_upgrade_builds_it_again(empty_database: Database) -> None:
    await empty_database.write(schema.upgrade)
    await empty_database.write(downgrade)
    assert await empty_database.read(table_names) == {"alembic_version"}
    await empty_database.write(schema.upgrade)
    assert await empty_database.write(differences) == []


async def test_an_older_program_runs_on_a_newer_database_and_leaves_it_as_it_is(
    empty_database: Database,
) -> None:
    await empty_database.write(schema.upgrade)
    await empty_database.write(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    await empty_database.write(schema.upgrade)
    assert await empty_database.read(schema.is_current)
    assert await empty_database.write(differences) == []


async def test_a_migration_that_fails_leaves_nothing(empty_database: Database) -> None:
    def upgrade_and_fail(connection: Connection) -> None:
        schema.upgrade(connection)
        connection.execute(text("SELECT no_such_column FROM jobs"))

    with pytest.raises(Exception, match="no_such_column"):
        await empty_database.write(upgrade_and_fail)
    assert await empty_database.read(table_names) == set()


async def test_ids_are_compared_byte_by_byte(database: Database) -> None:
    """Cursors rely on it: a locale's collation would be slower and could order them otherwise."""
    if database.dialect == "sqlite":
        return
    collations = await database.read(
        lambda connection: connection.execute(
            text(
                "SELECT DISTINCT collation_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND character_maximum_length = 32"
                " AND column_name IN ('id', 'job_id', 'tenant_id', 'ready_from')"
            )
        ).all()
    )
    assert collations == [("C",)]


async def test_a_database_of_another_program_is_refused_and_left_alone(empty_database: Database) -> None:
    await empty_database.write(lambda connection: connection.execute(text("CREATE TABLE jobs (id integer)")))
    with pytest.raises(Misconfigured, match=r"DATABASE_URL: .* another program \(jobs\)"):
        await empty_database.write(schema.upgrade)
    assert await empty_database.read(table_names) <= {"jobs"}
