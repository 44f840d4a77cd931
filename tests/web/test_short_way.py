"""The short way answers what Starlette's own way answers, whatever becomes of the request."""

from __future__ import annotations

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.errors import Busy, InvalidInput, NotFound, OrchestratorError
from orchestrator.web.problems import on_defect, on_error, on_http
from orchestrator.web.short_way import ShortWay
from orchestrator.web.wire import NoNulInUrl, answer

FAILURES: dict[str, Exception] = {
    "busy": Busy(),
    "input": InvalidInput("size", "is too large"),
    "missing": NotFound(),
    "http": HTTPException(418, "a teapot"),
    "defect": ZeroDivisionError("a defect of ours"),
}


async def endpoint(request: Request) -> Response:
    name = request.path_params["name"]
    if name in FAILURES:
        raise FAILURES[name]
    return answer({"name": name, "app": type(request.app).__name__})


ROUTE = Route("/{name}", endpoint, methods=["POST"])


async def ask(method: str, path: str, *, short: list[Route]) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    app = ShortWay(
        short=short,
        routes=[ROUTE],
        middleware=[Middleware(NoNulInUrl)],
        exception_handlers={OrchestratorError: on_error, HTTPException: on_http, Exception: on_defect},
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://short") as client:
        answered = await client.request(method, path)
    return answered.status_code, answered.content, answered.headers.raw


@pytest.mark.parametrize("name", [*FAILURES, "well"])
async def test_both_ways_give_the_same_answer(name: str) -> None:
    assert await ask("POST", f"/{name}", short=[ROUTE]) == await ask("POST", f"/{name}", short=[])


@pytest.mark.parametrize("path", ["/we%00ll", "/well?webhook=%00"])
async def test_a_nul_in_the_url_is_refused_as_on_the_long_way(path: str) -> None:
    assert (await ask("POST", path, short=[ROUTE]))[0] == 400


async def test_a_wrong_method_and_an_unknown_path_go_the_long_way() -> None:
    assert (await ask("DELETE", "/well", short=[ROUTE]))[0] == 405
    assert (await ask("POST", "/well/there", short=[ROUTE]))[0] == 404


async def test_a_defect_is_answered_and_goes_on_to_the_servers_log() -> None:
    app = ShortWay(short=[ROUTE], routes=[ROUTE], exception_handlers={Exception: on_defect})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://short") as client:
        with pytest.raises(ZeroDivisionError):
            await client.post("/defect")
