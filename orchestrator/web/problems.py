"""Turns errors into answers; the only place where an exception meets HTTP."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import BadLines, BeingSent, Busy, InvalidInput, OrchestratorError, TooMany
from orchestrator.web.allowed import allowed_methods
from orchestrator.web.dashboard.pages import no_page
from orchestrator.web.wire import problem

_RETRY_AFTER = {
    Busy: {"retry-after": "1"},
    BeingSent: {"retry-after": "2"},
    TooMany: {"retry-after": "30"},
}


async def on_error(_request: Request, error: Exception) -> Response:
    """An error of ours: its own status and its own sentence."""
    if not isinstance(error, OrchestratorError):
        raise error
    if error.cause:
        log = structlog.get_logger()
        if isinstance(error, Busy):
            kind = type(error).__name__
            log.warning("request.put_off", status=error.status, kind=kind, because=error.in_full)
        else:
            log.info("request.refused", status=error.status, because=error.cause)
    if isinstance(error, BadLines):
        return problem(error.status, str(error), more={"errors": error.errors})
    headers = next((told for kind, told in _RETRY_AFTER.items() if isinstance(error, kind)), None)
    field = error.field if isinstance(error, InvalidInput) else None
    return problem(error.status, str(error), field=field, headers=headers)


async def on_http(request: Request, error: Exception) -> Response:
    """Starlette's own: unknown path, wrong method. People in a browser get a page."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        return _wrong_method(request)
    if error.status_code == 404 and _is_for_people(request):
        return await no_page(request)
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _is_for_people(request: Request) -> bool:
    is_page = request.method == "GET" and not request.url.path.startswith("/api/")
    return is_page and "text/html" in request.headers.get("accept", "")


def _wrong_method(request: Request) -> Response:
    """Starlette names the methods of one route only, and takes what serves no path of its own for a path."""
    allowed = allowed_methods(request)
    if not allowed:
        return problem(404, "Not Found")
    return problem(405, "Method Not Allowed", headers={"allow": ", ".join(allowed)})


async def on_gone(_request: Request, _error: Exception) -> Response:
    """The client went away in the middle of its request: nobody reads this, and it is no defect."""
    return problem(400, "The request broke off.")


async def on_defect(_request: Request, _error: Exception) -> Response:
    """A defect of ours: Starlette logs the traceback, the client gets no detail."""
    return problem(500, "Something went wrong on this server.")
