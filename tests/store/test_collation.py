"""Texts are found by what they begin with also where the database sorts as people do."""

from __future__ import annotations

from collections import Counter

import asyncpg
import pytest

from orchestrator.store import figures, schema, series
from orchestrator.store.database import open_database
from orchestrator.store.figures import Key
from orchestrator.store.series import Wanted
from tests.factories import IMAGE_LANE, T0, TENANT


async def test_figures_are_found_by_the_beginning_of_their_name(postgres_server_url: str) -> None:
    server = await asyncpg.connect(postgres_server_url.replace("+asyncpg", ""))
    try:
        await _create_database(server)
        head = postgres_server_url.partition("?")
        database = open_database(f"{head[0].rpartition('/')[0]}/sorted_for_people{head[1]}{head[2]}")
        await database.write(schema.upgrade)
        counts = Counter({Key(T0, IMAGE_LANE, TENANT, f"reason_{why}"): 1 for why in ("expired", "zeal")})
        await database.write(lambda connection: figures.add(connection, counts))
        wanted = Wanted(span="minute", since=0, names=())
        found = await database.read(lambda c: series.names_like(c, prefix="reason_", wanted=wanted))
        await database.close()
        assert found == {IMAGE_LANE: {"expired": 1, "zeal": 1}}
    finally:
        await server.execute("DROP DATABASE IF EXISTS sorted_for_people WITH (FORCE)")
        await server.close()


async def _create_database(server: asyncpg.Connection[asyncpg.Record]) -> None:
    try:
        await server.execute(
            "CREATE DATABASE sorted_for_people TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        )
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this PostgreSQL was built without ICU")
