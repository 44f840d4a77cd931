"""Logging in, by a key or by the one-time link that `up` and `demo` print, and logging out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from orchestrator.errors import Forbidden, OrchestratorError
from orchestrator.web.dashboard.pages import own_path, page
from orchestrator.web.dashboard.viewer import (
    drop_cookie,
    find_viewer,
    log_in,
    log_in_by_link,
    log_out,
    require_own_form,
    set_cookie,
)


async def show(request: Request) -> Response:
    """GET /login"""
    return _form(request, wanted=request.query_params.get("next", "/"))


async def enter(request: Request) -> Response:
    """POST /login"""
    async with request.form(max_fields=5, max_files=0) as form:
        wanted = str(form.get("next", "/"))
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Forbidden("Log in from the page of this server.")
        try:
            token = await log_in(request, str(form.get("key", "")))
        except OrchestratorError as refused:
            return _form(request, wanted=wanted, trouble=str(refused), status=refused.status)
    return _entered(request, token, wanted)


async def enter_by_link(request: Request) -> Response:
    """GET /login/{link}"""
    try:
        token = await log_in_by_link(request, request.path_params["link"])
    except Forbidden as refused:
        return _form(request, wanted="/", trouble=str(refused), status=refused.status)
    if token is None:
        if await find_viewer(request) is not None:
            return RedirectResponse("/", status_code=303)
        return _form(request, wanted="/", trouble="This link was used before, or is too old.", status=401)
    return _entered(request, token, "/")


async def leave(request: Request) -> Response:
    """POST /logout"""
    viewer = await find_viewer(request)
    response = RedirectResponse("/login", status_code=303)
    if viewer is not None:
        async with request.form(max_fields=5, max_files=0) as form:
            require_own_form(request, viewer, form)
        await log_out(request)
        drop_cookie(request, response)
    return response


def _form(request: Request, *, wanted: str, trouble: str = "", status: int = 200) -> Response:
    return page(request, "login.html", {"next": own_path(wanted), "trouble": trouble}, status=status)


def _entered(request: Request, token: str, wanted: str) -> Response:
    response = RedirectResponse(own_path(wanted), status_code=303)
    set_cookie(request, response, token)
    return response


GATE = [
    Route("/login", show, methods=["GET"]),
    Route("/login", enter, methods=["POST"]),
    Route("/login/{link}", enter_by_link, methods=["GET"]),
    Route("/logout", leave, methods=["POST"]),
]
