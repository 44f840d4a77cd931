"""`Idempotency-Key` on a route: the first request with it is done, and the same one again only answered."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import KeyOutlived, KeyUsed, NotFound, Refused
from orchestrator.ids import new_id
from orchestrator.runtime import Runtime
from orchestrator.store.idempotency import Idempotency, Once, Used, require_free
from orchestrator.store.trouble import DatabaseTrouble
from orchestrator.web.context import Context
from orchestrator.web.query import IDEMPOTENCY_KEY

REPLAYED = {"idempotent-replayed": "true"}

# As long as a change without a key is tried again, and less than what a slow database takes for one try.
_AGAIN_FOR_S = 1.5
_AGAIN_S = 0.1


def read_idempotency(request: Request, body: bytes) -> Idempotency | None:
    """The key that this request has, if it has one. Raises InvalidInput."""
    key = IDEMPOTENCY_KEY.read(request)
    return None if key is None else Idempotency(key, hash_request(request, "", body))


def hash_request(request: Request, key_id: str, body: bytes) -> str:
    """What makes two requests the same: who asks, where, and every byte of it."""
    scope = request.scope
    told = (key_id.encode(), scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
    return hashlib.sha256(b"\0".join(told)).hexdigest()


async def answer_once(
    request: Request,
    tenant_id: str,
    body: bytes,
    *,
    first: Callable[[Once | None], Awaitable[Response]],
    again: Callable[[str], Awaitable[Response]],
) -> Response:
    """What `first` answers, which hands the Once that it gets to what it does, and None without a key; or
    else what `again` tells of what was done before, and made under this id. Raises KeyUsed and KeyOutlived.
    While the database is in trouble both are tried again for a moment, which needs a key: without one nobody
    could tell what was done.
    """
    idempotency = read_idempotency(request, body)
    if idempotency is None:
        return await first(None)
    runtime = Context.of(request).runtime
    give_up_at = time.monotonic() + _AGAIN_FOR_S
    while True:
        now = runtime.clock.now()
        once = Once(tenant_id, idempotency.key, idempotency.request_hash, new_id(now), now)
        try:
            return await _answer(runtime, once, first=first, again=again)
        except DatabaseTrouble:
            # Again as its client would, also where a COMMIT was lost: the key tells whether it was done.
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(_AGAIN_S)


async def _answer(
    runtime: Runtime,
    once: Once,
    *,
    first: Callable[[Once | None], Awaitable[Response]],
    again: Callable[[str], Awaitable[Response]],
) -> Response:
    try:
        # Before anything else is asked, be it the provider: what was done needs nobody's word again.
        await runtime.store.read(require_free, once=once)
        return await _unless_used(runtime, once, first)
    except Used as used:
        if not used.is_same:
            raise KeyUsed() from None
        return await _replayed(again, used.first_id)


async def _unless_used(
    runtime: Runtime, once: Once, first: Callable[[Once | None], Awaitable[Response]]
) -> Response:
    """Raises Used."""
    try:
        return await first(once)
    except Refused:
        # What was right may be wrong since this very request was done, a moment ago.
        await runtime.store.read(require_free, once=once)
        raise


async def _replayed(again: Callable[[str], Awaitable[Response]], first_id: str) -> Response:
    try:
        replay = await again(first_id)
    except NotFound:
        raise KeyOutlived() from None
    replay.headers.update(REPLAYED)
    return replay
