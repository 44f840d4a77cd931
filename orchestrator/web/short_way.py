"""Starlette with a short way to the routes that every job passes.

Its layers (middleware, router, two wrappers for errors) cost a request more than our own code does. The
same routes stand in its router as well: what does not fit here in every respect goes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send


class ShortWay(Starlette):
    """Errors become answers by the same handlers; a defect goes on to the log of the server."""

    def __init__(self, *, short: Sequence[Route], **options: Any) -> None:
        super().__init__(**options)
        self._short = tuple(short)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route, found = self._find(scope)
        if route is None:
            await super().__call__(scope, receive, send)
            return
        scope.update(found, app=self)
        request = Request(scope, receive, send)
        try:
            response: Response = await route.endpoint(request)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind in self.exception_handlers)
            response = await self.exception_handlers[kind](request, error)
            await response(scope, receive, send)
            if kind is Exception:
                raise
        else:
            await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Route | None, Scope]:
        if scope["type"] == "http" and "\0" not in scope["path"] and b"%00" not in scope["query_string"]:
            for route in self._short:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    return route, found
        return None, {}
