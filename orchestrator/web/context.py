"""What every route needs, kept on the application's state."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from orchestrator.runtime import Runtime
from orchestrator.web.auth import Authenticator


class Context(msgspec.Struct, frozen=True):
    """`base_url` is where this client is told to come back to: PUBLIC_URL, or the way it came."""

    runtime: Runtime
    authenticate: Authenticator
    base_url: str

    @staticmethod
    def of(request: Request) -> Context:
        runtime: Runtime = request.app.state.runtime
        base_url = runtime.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return Context(runtime, request.app.state.authenticate, base_url)
