"""Turns a view into a page: who may see it, what it reads, its template, and the headers that guard it.

A view is a function that reads what its template shows. An action is a function that changes something and
answers with a sentence; the browser is then sent back to where it came from.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import msgspec
import structlog
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from orchestrator.errors import Busy, NotFound, OrchestratorError, Unauthorized
from orchestrator.runtime import Runtime
from orchestrator.web.context import Context
from orchestrator.web.dashboard.forms import read_form
from orchestrator.web.dashboard.refusals import sentence
from orchestrator.web.dashboard.rendering import templates
from orchestrator.web.dashboard.viewer import Door, Role, Viewer, find_viewer, require, require_own_form

_NOTICE = "orchestrator_notice"
_FORM_BYTES = 1024 * 1024


class Look(msgspec.Struct, frozen=True):
    """One look at a view: everything that reading it needs."""

    request: Request
    here: Context
    viewer: Viewer
    now: int

    @property
    def runtime(self) -> Runtime:
        return self.here.runtime

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return str(self.request.query_params.get(name, default)).strip()


class Done(msgspec.Struct, frozen=True):
    """What an action says, and where it leads; `go` empty means back."""

    notice: str
    go: str = ""
    is_trouble: bool = False


class Shown(msgspec.Struct, frozen=True):
    """A page as the answer to a form: what was wrong at which field, or what is shown this once."""

    template: str
    context: Mapping[str, Any]
    status: int = 422


Load = Callable[[Look], Awaitable[Mapping[str, Any]]]
Act = Callable[[Look, FormData], Awaitable[Done | Shown]]


def view(path: str, name: str, load: Load, *, role: Role = Role.READ) -> Route:
    """A page at `path`, made by `templates/NAME.html` of what `load` reads."""

    async def endpoint(request: Request) -> Response:
        viewer = await find_viewer(request)
        if viewer is None:
            return _to_login(request)
        require(viewer, role)
        here = Context.of(request)
        look = Look(request, here, viewer, here.runtime.clock.now())
        return page(request, f"{name}.html", await load(look), viewer=viewer)

    return Route(path, guarded(endpoint), methods=["GET"], name=f"dashboard:{name}")


def action(path: str, act: Act, *, role: Role = Role.OPERATE, limit: int = _FORM_BYTES) -> Route:
    """A form's target at `path`; it goes back to the page it came from, with a notice.

    `limit` is how long the form may be, files and all.
    """

    async def endpoint(request: Request) -> Response:
        viewer = await find_viewer(request)
        if viewer is None:
            return _to_login(request)
        async with read_form(request, limit=limit) as form:
            require_own_form(request, viewer, form)
            here = Context.of(request)
            look = Look(request, here, viewer, here.runtime.clock.now())
            try:
                require(viewer, role)
                done = await act(look, form)
            except OrchestratorError as refused:
                if refused.cause:
                    structlog.get_logger().info("action.refused", because=refused.cause)
                done = Done(sentence(refused), is_trouble=True)
            if isinstance(done, Shown):
                return page(request, f"{done.template}.html", done.context, viewer=viewer, status=done.status)
            return _back(request, done, str(form.get("back", "")))

    return Route(path, guarded(endpoint), methods=["POST"])


def page(
    request: Request,
    template: str,
    context: Mapping[str, Any],
    *,
    viewer: Viewer | None = None,
    status: int = 200,
) -> Response:
    """A whole page. Its policy lets it run our script, show images, and nothing else."""
    door = Door.of(request)
    notice = _read_notice(request)
    html = (
        templates()
        .get_template(template)
        .render(
            {
                "viewer": viewer,
                "door": door,
                "path": request.url.path,
                "here": _relative(request),
                "query": dict(request.query_params),
                "notice": notice,
                "now": Context.of(request).runtime.clock.now(),
                "bell_is_up": Context.of(request).runtime.bell.is_up,
            }
            | dict(context)
        )
    )
    response = Response(html, status_code=status, media_type="text/html", headers=_headers(request))
    if notice is not None:
        response.delete_cookie(_NOTICE, path="/")
    return response


def guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Errors as a page: what went wrong, and the way back."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Unauthorized:
            return _to_login(request)
        except OrchestratorError as error:
            is_busy = isinstance(error, Busy)
            viewer = None if is_busy else await find_viewer(request)
            return _trouble(request, sentence(error), status=error.status, viewer=viewer, is_busy=is_busy)
        except Exception:
            structlog.get_logger().exception("page.failed", path=request.url.path)
            return _trouble(request, "Something went wrong on this server. Its log says what.", status=500)

    return answered


@guarded
async def no_page(_request: Request) -> Response:
    """For a browser that asks for what is not there."""
    raise NotFound("There is no such page.")


def _trouble(
    request: Request, message: str, *, status: int, viewer: Viewer | None = None, is_busy: bool = False
) -> Response:
    """What was sent by a form is not sent again by itself: from there it goes back."""
    is_get = request.method == "GET"
    back = _relative(request) if is_get else _came_from(request)
    context: dict[str, Any] = {
        "status": status,
        "message": message,
        "is_busy": is_busy,
        "is_get": is_get,
        "back": back,
    }
    context |= {"is_live": False, "can_retry": is_get and status >= 500}
    return page(request, "trouble.html", context, viewer=viewer, status=status)


def _came_from(request: Request) -> str:
    """The page of ours that a form was sent from."""
    try:
        came_from = urlsplit(request.headers.get("referer", ""))
    except ValueError:  # such as `http://[`
        return "/"
    return own_path(urlunsplit(("", "", *came_from[2:])))


def _to_login(request: Request) -> Response:
    wanted = _relative(request) if request.method == "GET" else "/"
    return RedirectResponse(f"/login?{urlencode({'next': wanted})}", status_code=303)


def _back(request: Request, done: Done, asked: str) -> Response:
    response = RedirectResponse(done.go or own_path(asked), status_code=303)
    told = quote(json.dumps({"text": done.notice[:500], "is_trouble": done.is_trouble}))
    response.set_cookie(
        _NOTICE,
        told,
        max_age=30,
        path="/",
        httponly=True,
        samesite="lax",
        secure=Door.of(request).is_encrypted,
    )
    return response


def own_path(given: str) -> str:
    """`given` if it is a path on this server, else the first page: no way out to elsewhere."""
    is_own = given.startswith("/") and not given.startswith(("//", "/\\"))
    return given if is_own and given.isprintable() and "\\" not in given else "/"


def _read_notice(request: Request) -> Mapping[str, Any] | None:
    given = request.cookies.get(_NOTICE)
    if not given or "hx-request" in request.headers:  # another page's live look must not take it
        return None
    try:
        told = json.loads(unquote(given))
        return {"text": str(told["text"]), "is_trouble": bool(told["is_trouble"])}
    except (ValueError, TypeError, KeyError):
        return None


def _plain_media(provider_url: str) -> str:
    """Where pictures come from without TLS: a stand-in, which in a network of containers has two names."""
    url = urlsplit(provider_url)
    return f"http://{url.netloc} http://localhost:{url.port or 80}" if url.scheme == "http" else ""


def _relative(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _headers(request: Request) -> dict[str, str]:
    media = f"'self' data: https: {_plain_media(Context.of(request).runtime.settings.wavespeed_base_url)}"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self';"
        f" img-src {media}; media-src {media}; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
    }
