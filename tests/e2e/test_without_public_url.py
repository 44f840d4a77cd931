"""An API and workers that nobody told under which URL they are reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.hooked import allowed, path_of
from tests.e2e.program import free_port, until
from tests.e2e.receiver import receiving
from tests.e2e.stack import split_stack

pytestmark = pytest.mark.xdist_group("split")


async def test_a_worker_tells_where_the_api_is(
    new_postgres_database: Callable[[], str], new_valkey_url: Callable[[], str]
) -> None:
    port = free_port()
    servers: dict[str, Any] = {"database_url": new_postgres_database(), "redis_url": new_valkey_url()}
    async with receiving(port) as receiver, split_stack(**servers, PUBLIC_URL="", **allowed(port)) as stack:

        async def is_told() -> bool:
            path = path_of("200")
            job_id = await stack.created(params={"webhook": receiver.url + path})
            (told,) = await receiver.wait_for(path)
            return bool(told.prediction["urls"]["get"] == f"{stack.url}/api/v3/predictions/{job_id}/result")

        # The API says where it is when it starts, and workers look every few seconds.
        await until(is_told, within=30, what="a webhook with the URL of the API")
