"""Runs the migrations on the connection that `orchestrator migrate` (or a test) hands in.

Called from the alembic command line it opens the database of the settings itself.
"""

import asyncio

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from orchestrator import settings
from orchestrator.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_async(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


def main() -> None:
    given = context.config.attributes.get("connection")
    url = settings.load().resolved_database_url
    if given is not None:
        run(given)
    elif url.startswith("sqlite"):
        with create_engine(url).begin() as connection:
            run(connection)
    else:
        asyncio.run(run_async(url))


main()
