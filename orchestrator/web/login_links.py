"""The route for links that log in to the dashboard once, for people who have a key only on a server."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.clock import to_rfc3339
from orchestrator.flow import administer
from orchestrator.store.keys import ADMIN
from orchestrator.web.context import Context
from orchestrator.web.wire import answer


async def create(request: Request) -> Response:
    """POST /api/v3/login-links: whoever opens the link is logged in as the owner of this `admin` key."""
    here = Context.of(request)
    by = await here.authenticate(request, ADMIN)
    token, until = await administer.make_login_link(here.runtime, by)
    return answer(
        {"url": f"{here.base_url}/login/{token}", "expires_at": to_rfc3339(until)},
        headers={"cache-control": "no-store"},
    )
