"""What was done under an Idempotency-Key is told again though it could not be done now."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Busy
from orchestrator.runtime import Runtime
from orchestrator.store.idempotency import Once, do_once
from orchestrator.web.context import Context
from orchestrator.web.idempotent import answer_once
from tests.factories import TENANT


async def test_a_repetition_asks_nobody_but_the_key(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "of", lambda _request: type("Here", (), {"runtime": runtime}))
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/there",
        "query_string": b"",
        "headers": [(b"idempotency-key", b"k")],
    }
    is_away = False

    async def first(once: Once | None) -> Response:
        if is_away:
            raise Busy(cause="the provider is away")
        await runtime.store.write(do_once, once=once, do=lambda _connection: True, arguments={})
        return Response("done")

    async def again(_first_id: str) -> Response:
        return Response("was done")

    asked: dict[str, Any] = {"tenant_id": TENANT, "body": b"{}", "first": first, "again": again}
    done = await answer_once(Request(scope), **asked)
    is_away = True
    replayed = await answer_once(Request(scope), **asked)
    assert (bytes(done.body), bytes(replayed.body)) == (b"done", b"was done")
    assert replayed.headers["idempotent-replayed"] == "true"
