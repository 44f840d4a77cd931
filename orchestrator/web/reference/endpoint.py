"""One line of the route table: what serves a path, who may ask, what may be sent and what comes back.

The Starlette routes are made of it and so is the API description: neither has an entry that the other lacks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.errors import (
    Busy,
    Forbidden,
    InvalidInput,
    NotFound,
    OrchestratorError,
    TooLarge,
    TooSlow,
    Unauthorized,
    UnsupportedBody,
)
from orchestrator.web.query import Parameter

Handler = Callable[[Request], Awaitable[Response]]
Scope = Literal["read", "submit", "admin"]
# What WaveSpeed has is served for each of its versions.
_OWN = "/api/v3/"


@dataclass(frozen=True)
class Lines:
    """A text of JSON lines, each of this type."""

    kind: Any


@dataclass(frozen=True)
class Events:
    """Server-Sent Events of these names, the `data` of each of one of these types."""

    names: tuple[str, ...]
    kinds: tuple[Any, ...]


@dataclass(frozen=True)
class Either:
    """One of some types."""

    kinds: tuple[Any, ...]


@dataclass(frozen=True)
class Plain:
    """Content that is described by a JSON Schema alone."""

    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Body:
    """What a request brings: a type, Either, Lines or Plain for each media type."""

    contents: Mapping[str, Any]
    example: Any = None
    is_required: bool = True


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`gives` is the type of `data` in the usual envelope, or the contents by media type.

    `path` has Starlette's convertors, and `scope` is None where no key is asked for.
    """

    name: str
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    handler: Handler
    scope: Scope | None
    summary: str
    gives: Any
    about: str = ""
    query: Sequence[Parameter] = ()
    headers: Sequence[Parameter] = ()
    body: Body | None = None
    refuses: Sequence[type[OrchestratorError]] = ()
    is_operators: bool = False
    """Whether the key must be the operator's besides."""
    is_passed_on: bool = False
    """Whether the provider's own refusals are handed on, too."""
    leads_to: Sequence[str] = ()
    """The names of endpoints that take what the answer has in the field `leads_by`."""
    leads_by: str = "id"
    problem: Any = None
    """What a 400 looks like, where it says more than others."""

    def route(self) -> Route:
        # WaveSpeed's clients may say more than is known here, and are not refused for it.
        handler = self._refuse_unknown if self.path.startswith(_OWN) else self.handler
        return Route(self.path, handler, methods=[self.method], name=self.name)

    async def _refuse_unknown(self, request: Request) -> Response:
        """A filter that is spelt wrong would show everything."""
        known = [one.name for one in self.query]
        unknown = next((name for name in request.query_params if name not in known), None)
        if unknown is not None:
            raise InvalidInput(unknown[:80], f"is not known here; known are: {', '.join(known) or 'none'}")
        return await self.handler(request)

    def refusals(self) -> list[type[OrchestratorError]]:
        """What this line says and what follows from it: any URL may hold a NUL, any id be unknown."""
        found: list[type[OrchestratorError]] = [InvalidInput]
        if self.scope is not None:
            found += [Unauthorized, Forbidden, Busy]
        if "{" in self.path:
            found.append(NotFound)
        if self.body is not None:
            found += [TooSlow, TooLarge, UnsupportedBody]
        return sorted({*found, *self.refuses}, key=lambda error: (error.status, error.__name__))


@dataclass(frozen=True)
class Group:
    """Endpoints that belong together, under one heading."""

    name: str
    about: str
    endpoints: Sequence[Endpoint] = field(default_factory=tuple)
