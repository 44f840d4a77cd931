"""An open page of the dashboard holds a seat among the listeners, and gives it back however it ends."""

from __future__ import annotations

import contextlib

from starlette.types import Message

from orchestrator.ids import key_digest, new_api_key
from orchestrator.runtime import Runtime
from orchestrator.store import keys, sessions
from orchestrator.web.app import create_app


async def test_a_browser_that_is_gone_before_the_first_word_keeps_no_seat(runtime: Runtime) -> None:
    key, now = new_api_key(), runtime.clock.now()
    await runtime.store.write(keys.ensure_first_key, key=key, now=now)
    found = await runtime.store.read(keys.find_key, digest=key_digest(key))
    assert found is not None
    await runtime.store.write(sessions.open_session, token="token", key_id=found.id, now=now)
    begun = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        begun.append(message["status"])
        raise OSError("the connection is gone")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"cookie", b"orchestrator_session=token")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    with contextlib.suppress(OSError, ExceptionGroup):
        await create_app(runtime)(scope, receive, send)
    assert begun == [200]
    assert not runtime.follower._of_tenant
