"""Who is asking: an API key's tenant and scopes."""

from __future__ import annotations

import time

from starlette.requests import Request

from orchestrator.errors import Forbidden, Unauthorized
from orchestrator.ids import key_digest
from orchestrator.runtime import Runtime
from orchestrator.store import keys
from orchestrator.store.keys import Key

# A key is looked up again after this long: revoking one takes effect within it.
_REMEMBERED_S = 2.0
_MOST_REMEMBERED = 10_000
_LONGEST = 256


class Authenticator:
    """Looks keys up by their SHA-256, so nothing about them is told by how long it takes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[str, tuple[float, Key | None]] = {}

    async def __call__(self, request: Request, scope: str) -> Key:
        """The valid key with this scope. Raises Unauthorized or Forbidden."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given or len(given) > _LONGEST:
            raise Unauthorized("Authorization: send `Bearer` and an API key of this server.")
        key = await self._find(given.strip())
        if key is None or not key.is_valid(self._runtime.clock.now()):
            raise Unauthorized
        if scope not in key.scopes:
            raise Forbidden(f"This API key may not do that; it lacks the scope `{scope}`.")
        return key

    async def _find(self, given: str) -> Key | None:
        digest = key_digest(given)
        looked_at, key = self._known.get(digest, (0.0, None))
        now = time.monotonic()
        if now - looked_at > _REMEMBERED_S:
            key = await self._runtime.store.read(keys.find_key, digest=digest)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = (now, key)
        return key
