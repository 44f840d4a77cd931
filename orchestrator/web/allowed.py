"""Which methods a path takes, over all routes that have it: what a 405 has to say in its `Allow`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Match, Route

OTHERWISE = "otherwise"
"""The name of the route that takes every path that no other one has: it allows nothing."""


def allowed_methods(request: Request) -> list[str]:
    """Empty where there is no such path."""
    routes = (one for one in request.app.routes if isinstance(one, Route) and one.name != OTHERWISE)
    matching = (one for one in routes if one.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for one in matching for method in one.methods or ()})
