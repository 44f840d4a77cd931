"""What every route needs, kept on the application's state."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from orchestrator.errors import Forbidden
from orchestrator.runtime import Runtime
from orchestrator.store.keys import ADMIN, Key
from orchestrator.web.auth import Authenticator


class Context(msgspec.Struct, frozen=True):
    """`base_url` is where this client is told to come back to: PUBLIC_URL, or the way it came."""

    runtime: Runtime
    authenticate: Authenticator
    base_url: str

    async def authenticate_operator(self, request: Request) -> Key:
        """The key of somebody who may change what all tenants share (see `store.keys.Key`)."""
        key = await self.authenticate(request, ADMIN)
        if not key.is_operator:
            raise Forbidden("Only the operator may do that: it takes an admin key of the tenant `default`.")
        return key

    @staticmethod
    def of(request: Request) -> Context:
        runtime: Runtime = request.app.state.runtime
        base_url = runtime.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return Context(runtime, request.app.state.authenticate, base_url)
