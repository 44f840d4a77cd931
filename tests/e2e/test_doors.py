"""Every route against everybody who may not pass: no key, a key of another scope, a key of another tenant.

The matrix is the route table itself: a route that is added to it is tested here, or this file says why not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from orchestrator.ids import new_api_key
from orchestrator.web.app import ROUTES
from orchestrator.web.reference.endpoint import Endpoint
from orchestrator.web.reference.operations import parameters, shown_path
from orchestrator.web.reference.tables.table import ENDPOINTS
from tests.e2e.hooked import Hooked, path_of
from tests.e2e.stack import FLUX, data_of

SCOPES = {"read", "submit", "admin"}
# The route for what no other route has.
NO_OPERATION = {"/api/{version:version}/{other:path}"}
NOBODYS = {"job": "0" * 32, "batch": "0" * 32, "delivery": "0" * 32}
GUARDED = [one for one in ENDPOINTS if one.scope is not None]


def kind_of(endpoint: Endpoint) -> str | None:
    """What its path names besides a version and a model; None where there is nothing."""
    if not {one["name"] for one in parameters(endpoint) if one["in"] == "path"} - {"version", "model"}:
        return None
    kinds = {"predictions": "job", "jobs": "job", "batches": "batch", "deliveries": "delivery"}
    return kinds[endpoint.path.split("/")[3]]


OWNED = [one for one in GUARDED if kind_of(one) is not None]


@dataclass(frozen=True)
class Doors:
    """A server with a job, a batch and a delivery of one tenant."""

    http: httpx.AsyncClient
    mine: dict[str, str]
    stack: Any

    async def knock(
        self, endpoint: Endpoint, *, key: str | None, ids: dict[str, str] | None = None
    ) -> httpx.Response:
        identifier = (ids or self.mine).get(kind_of(endpoint) or "", "")
        path = shown_path(endpoint).format(version="v3", model=FLUX, id=identifier)
        body = endpoint.body.example if endpoint.body and endpoint.body.example else {}
        return await self.http.request(
            endpoint.method,
            path,
            headers={"authorization": f"Bearer {key}"} if key else {"authorization": ""},
            content=json.dumps(body),
        )

    async def key(self, *scopes: str) -> str:
        """Another tenant's."""
        key = new_api_key()
        await self.stack.ledger.add_tenant(key, scopes=" ".join(scopes))
        return key


@pytest.fixture(scope="module")
async def doors(hooked: Hooked) -> Doors:
    stack, receiver = hooked
    job = await stack.created(params={"webhook": receiver.url + path_of("200")})
    await stack.ended(job)
    lines = json.dumps({"model": FLUX, "input": {"prompt": "a lighthouse"}})
    batch = data_of(await stack.http.post("/api/v3/batches", content=lines))["id"]
    (delivery,) = (await stack.job(job))["deliveries"]
    return Doors(stack.http, {"job": job, "batch": batch, "delivery": delivery["id"]}, stack)


def named(endpoint: Endpoint) -> str:
    return endpoint.name


def test_every_route_of_the_api_is_described() -> None:
    served = {
        (method, one.path)
        for one in ROUTES
        if isinstance(one, Route)
        for method in one.methods or ()
        if method != "HEAD"
    }
    described = {(one.method, one.path) for one in ENDPOINTS}
    undescribed = {one for one in served - described if one[1].startswith("/api")}
    assert {path for _, path in undescribed} == NO_OPERATION


@pytest.mark.parametrize("endpoint", GUARDED, ids=named)
async def test_without_a_key_it_is_401(doors: Doors, endpoint: Endpoint) -> None:
    assert (await doors.knock(endpoint, key=None)).status_code == 401


@pytest.mark.parametrize("endpoint", GUARDED, ids=named)
async def test_with_every_scope_but_its_own_it_is_403(doors: Doors, endpoint: Endpoint) -> None:
    key = await doors.key(*(SCOPES - {str(endpoint.scope)}))
    answer = await doors.knock(endpoint, key=key)
    assert (answer.status_code, answer.json()["code"]) == (403, 403)


@pytest.mark.parametrize("endpoint", GUARDED, ids=named)
async def test_with_its_scope_alone_the_key_is_let_in(doors: Doors, endpoint: Endpoint) -> None:
    answer = await doors.knock(endpoint, key=await doors.key(str(endpoint.scope)), ids=NOBODYS)
    assert answer.status_code not in (401, 403)


@pytest.mark.parametrize("endpoint", OWNED, ids=named)
async def test_another_tenants_object_is_answered_as_one_that_is_not_there(
    doors: Doors, endpoint: Endpoint
) -> None:
    key = await doors.key(*SCOPES)
    theirs = await doors.knock(endpoint, key=key)
    nobodys = await doors.knock(endpoint, key=key, ids=NOBODYS)
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)


@pytest.mark.parametrize("endpoint", OWNED, ids=named)
async def test_the_objects_of_the_matrix_are_there_for_their_owner(doors: Doors, endpoint: Endpoint) -> None:
    answer = await doors.knock(endpoint, key=doors.stack.key)
    assert answer.status_code in (200, 409), answer.text
