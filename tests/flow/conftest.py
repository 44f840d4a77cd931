"""A runtime of the real parts, on SQLite, for flows that no HTTP request is needed to see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import load
from orchestrator.store import schema
from orchestrator.store.database import open_database
from tests.factories import TENANT, add_tenant


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    """With one tenant; nobody listens where the provider should be."""
    settings = load(
        data_dir=tmp_path,
        secret="of the tests " * 3,
        wavespeed_base_url="http://127.0.0.1:1",
        wavespeed_api_key="x",
    )
    database = open_database(settings.resolved_database_url)
    await database.write(schema.upgrade)
    await database.write(lambda connection: add_tenant(connection, tenant_id=TENANT))
    await database.close()
    async with AsyncExitStack() as stack:
        yield await open_runtime(settings, stack)
