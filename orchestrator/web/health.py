"""What a load balancer asks: whether this process answers, and whether it can do its work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Busy
from orchestrator.store import schema
from orchestrator.web.context import Context
from orchestrator.web.wire import answer, problem


async def health(_request: Request) -> Response:
    """GET /health: this process answers."""
    return answer({"status": "ok"})


async def ready(request: Request) -> Response:
    """GET /ready: the database can be reached and has the newest tables; Redis is not needed."""
    runtime = Context.of(request).runtime
    try:
        current = await runtime.store.read(schema.is_current)
    except Busy:
        return problem(503, "The database cannot be reached.")
    if not current:
        return problem(503, "The database is not at the newest version: run `orchestrator migrate`.")
    return answer({"database": "up", "bell": "up" if runtime.bell.is_up else "down"})
