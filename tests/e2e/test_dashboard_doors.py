"""Every page and every form of the dashboard that names an object, asked by somebody of another tenant.

The matrix is the list of routes itself: one that is added to it is tested here, or this file says why not.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.routing import Route

from orchestrator.ids import new_api_key
from orchestrator.web.dashboard.routes import DASHBOARD
from tests.e2e.hooked import Hooked, path_of
from tests.e2e.logged_in import NOTICE, LoggedIn, logged_in, new_key, notice_of
from tests.e2e.stack import FLUX, data_of

NOBODYS = "0" * 32
# Of the operator, whose doors are in the tests of logging in; and the link that lets one in.
NO_TENANTS = {"lanes", "accounts", "fairness", "login"}
KINDS = {"jobs", "actions", "batches", "deliveries", "endpoints", "keys"}
FIELDS = {"/jobs/{id}/resolve": {"word": "fail"}}


def kind_of(route: Route) -> str:
    return route.path.split("/")[1]


NAMING = [one for one in DASHBOARD if isinstance(one, Route) and "{" in one.path]
OWNED = [one for one in NAMING if kind_of(one) not in NO_TENANTS]


def named(route: Route) -> str:
    return f"{'POST' if 'POST' in (route.methods or ()) else 'GET'} {route.path}"


async def made(hooked: Hooked, kind: str) -> str:
    """The id of an object of this kind that is the first tenant's."""
    stack, receiver = hooked
    if kind == "keys":
        return str((await new_key(stack, NOBODYS, "read"))["id"])
    asked: dict[str, Any] = {
        "batches": {"model": FLUX, "inputs": [{"prompt": "a lake"}]},
        "endpoints": {"url": receiver.url + path_of("200"), "events": ["batch.completed"]},
    }
    if kind in asked:
        return str(data_of(await stack.http.post(f"/api/v3/{kind}", json=asked[kind]))["id"])
    job = await stack.created(params={"webhook": receiver.url + path_of("200")})
    await stack.ended(job)
    if kind == "actions":
        order = {"verb": "dismiss", "ids": [job]}
        return str(data_of(await stack.http.post("/api/v3/actions", json=order))["id"])
    return job if kind == "jobs" else f"{job}-1"


async def knock(person: LoggedIn, route: Route, identifier: str) -> tuple[int, str]:
    """The status, and what the page or the notice says."""
    path = route.path.format(id=identifier)
    if "POST" not in (route.methods or ()):
        answer = await person.http.get(path)
        return answer.status_code, answer.text.replace(identifier, NOBODYS)
    answer = await person.act(path, **FIELDS.get(route.path, {}))
    return answer.status_code, said(answer)


def said(answer: httpx.Response) -> str:
    return notice_of(answer) if NOTICE in answer.cookies else answer.text


def test_every_route_that_names_something_is_in_the_matrix() -> None:
    assert {kind_of(route) for route in NAMING} == KINDS | NO_TENANTS


@pytest.mark.parametrize("route", OWNED, ids=named)
async def test_another_tenants_object_is_as_one_that_is_not_there(hooked: Hooked, route: Route) -> None:
    stack, _ = hooked
    identifier = await made(hooked, kind_of(route))
    key = new_api_key()
    await stack.ledger.add_tenant(key, scopes="admin read submit")
    async with logged_in(stack, key) as stranger, logged_in(stack) as owner:
        nobodys = await knock(stranger, route, NOBODYS)
        assert await knock(stranger, route, identifier) == nobodys
        assert nobodys[0] == (404 if "GET" in (route.methods or ()) else 303)
        assert await knock(owner, route, identifier) != await knock(owner, route, NOBODYS)
