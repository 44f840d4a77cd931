"""What every route needs, kept on the application's state."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from orchestrator.runtime import Runtime
from orchestrator.web.auth import Authenticator


@dataclass(frozen=True)
class Context:
    """`base_url` is what clients are told to come back to."""

    runtime: Runtime
    authenticate: Authenticator
    base_url: str

    @staticmethod
    def of(request: Request) -> Context:
        context: Context = request.app.state.context
        return context
