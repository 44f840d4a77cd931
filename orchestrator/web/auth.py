"""Who is asking: an API key's tenant and scopes."""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.requests import Request

from orchestrator.errors import Busy, Forbidden, Unauthorized
from orchestrator.ids import key_digest
from orchestrator.store import keys
from orchestrator.store.keys import Key
from orchestrator.store.store import Store

# A key is looked up again after this long: revoking one takes effect within it.
_REMEMBERED_S = 2.0
_MOST_REMEMBERED = 10_000
_LONGEST = 256


class Authenticator:
    """Looks keys up by their SHA-256, so nothing about them is told by how long it takes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[float, Key | None]] = {}
        self._used: set[str] = set()
        self._recording: asyncio.Task[None] | None = None

    async def __call__(self, request: Request, scope: str) -> Key:
        """The valid key with this scope. Raises Unauthorized or Forbidden."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given or len(given) > _LONGEST:
            raise Unauthorized("Authorization: send `Bearer` and an API key of this server.")
        key = await self._find(given.strip())
        if key is None or not key.is_valid(self._store.clock.now()):
            raise Unauthorized
        if scope not in key.scopes:
            raise Forbidden(f"This API key may not do that; it lacks the scope `{scope}`.")
        return key

    async def _find(self, given: str) -> Key | None:
        digest = key_digest(given)
        looked_at, key = self._known.get(digest, (0.0, None))
        now = time.monotonic()
        if now - looked_at > _REMEMBERED_S:
            key = await self._store.read(keys.find_key, digest=digest)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = (now, key)
            if key is not None:
                self._note_use(key)
        return key

    def _note_use(self, key: Key) -> None:
        """Have its use written down, behind the request's back: no request waits for that or fails by it."""
        now = self._store.clock.now()
        if not key.is_valid(now) or not key.is_use_news(now):
            return
        self._used.add(key.id)
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._record_uses(), name="record-uses")

    async def _record_uses(self) -> None:
        """Keys that are used during one write are written together by the next."""
        # What is lost here is noted again by the next look-up: the row still tells the old time.
        with contextlib.suppress(Busy):
            while self._used:
                used, self._used = self._used, set()
                await self._store.write(keys.record_use, ids=sorted(used), now=self._store.clock.now())
