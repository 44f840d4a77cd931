"""Secrets that must be in no log and no table, looked for when a stack has done its work."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, MetaData, text

from orchestrator.sandbox.signing import secret_of
from orchestrator.tables import metadata
from tests.e2e.stack import PROVIDER_KEY, SECRET, Stack

# Where a webhook's URL must be, to be called at all.
ITS_OWN_COLUMNS = {("jobs", "webhook"), ("batches", "webhook"), ("deliveries", "url")}
_TOKENS_LOOKED_FOR = 20


def found_in(said: str, secrets: Mapping[str, str]) -> list[str]:
    return sorted(what for what, secret in secrets.items() if secret in said)


async def secrets_of(
    stack: Stack, *, provider_key: str = PROVIDER_KEY, secret: str = SECRET
) -> dict[str, str]:
    """What every stack has to keep to itself, by what it is."""
    its_own = stack.folder / "data" / "secret"
    return await callback_tokens(stack) | {
        "the provider's key": provider_key,
        "the provider's signing secret": secret_of(provider_key),
        "our secret": its_own.read_text().strip() if its_own.exists() else secret,
        "the API key": stack.key,
    }


async def callback_tokens(stack: Stack) -> dict[str, str]:
    """Of the first tasks."""
    callbacks = [task["webhook"] for task in await stack.tasks() if task["webhook"]]
    return {
        f"the callback token of {number}": callback.rpartition("/")[2]
        for number, callback in enumerate(callbacks[:_TOKENS_LOOKED_FOR])
    }


async def check_logs_and_tables(stack: Stack, secrets: Mapping[str, str]) -> None:
    for program in stack.programs:
        assert found_in(program.said(), secrets) == [], program.name
    values = await stack.ledger.ask(_values)
    assert [(where, bad) for where, value in values if (bad := found_in(value, secrets))] == []


def _values(connection: Connection) -> list[tuple[str, str]]:
    """Each value of each table, with where it stands."""
    there = MetaData()
    there.reflect(connection)
    assert there.tables.keys() >= metadata.tables.keys()
    return [
        (f"{table}.{column}", str(value))
        for table in there.tables
        for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()
        for column, value in row.items()
        if (table, column) not in ITS_OWN_COLUMNS
    ]
