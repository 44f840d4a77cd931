"""Every route against everybody who may not pass: no key, a key of another scope, a key of another tenant.

The matrix is the route table itself: a route that is added to it is tested here, or this file says why not.
"""

from __future__ import annotations

import json
import uuid
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
KINDS = {
    "predictions": "job",
    "jobs": "job",
    "actions": "action",
    "batches": "batch",
    "deliveries": "delivery",
    "endpoints": "endpoint",
    "keys": "key",
    "lanes": "lane",
    "accounts": "account",
    "tenants": "tenant",
}
NOBODYS = dict.fromkeys(KINDS.values(), "0" * 32)
GUARDED = [one for one in ENDPOINTS if one.scope is not None]
OPERATORS = [one for one in GUARDED if one.is_operators]


def kind_of(endpoint: Endpoint) -> str | None:
    """What its path names besides a version and a model; None where there is nothing."""
    if not {one["name"] for one in parameters(endpoint) if one["in"] == "path"} - {"version", "model"}:
        return None
    return KINDS[endpoint.path.split("/")[3]]


NAMING = [one for one in GUARDED if kind_of(one) is not None]
OWNED = [one for one in NAMING if not one.is_operators]


@dataclass(frozen=True)
class Doors:
    """A server with one object of each kind, all of one tenant but for what all tenants share."""

    http: httpx.AsyncClient
    mine: dict[str, str]
    stack: Any

    async def knock(
        self, endpoint: Endpoint, *, key: str | None, ids: dict[str, str] | None = None
    ) -> httpx.Response:
        identifier = (ids or self.mine).get(kind_of(endpoint) or "", "")
        path = shown_path(endpoint).format(version="v3", model=FLUX, id=identifier, name=identifier)
        body = endpoint.body.example if endpoint.body and endpoint.body.example else {}
        async with self.http.stream(
            endpoint.method,
            path,
            headers={"authorization": f"Bearer {key}"} if key else {"authorization": ""},
            content=json.dumps(body),
        ) as answer:
            # A stream of events need not end.
            if answer.headers["content-type"].startswith("application/json"):
                await answer.aread()
        return answer

    async def key(self, *scopes: str) -> str:
        """Another tenant's."""
        key = new_api_key()
        await self.stack.ledger.add_tenant(key, scopes=" ".join(scopes))
        return key

    async def operators_key(self) -> str:
        """Of the first tenant, with the scope `admin` alone."""
        wanted = {"name": uuid.uuid4().hex, "scopes": ["admin"]}
        return str(data_of(await self.http.post("/api/v3/keys", json=wanted))["key"])

    async def new_endpoint(self) -> str:
        wanted = {"url": "https://example.com/hooks", "events": ["job.completed"]}
        return str(data_of(await self.http.post("/api/v3/endpoints", json=wanted))["id"])

    async def new_key(self) -> str:
        made = await self.http.post("/api/v3/keys", json={"name": uuid.uuid4().hex})
        return str(data_of(made)["id"])


@pytest.fixture(scope="module")
async def doors(hooked: Hooked) -> Doors:
    stack, receiver = hooked
    job = await stack.created(params={"webhook": receiver.url + path_of("200")})
    await stack.ended(job)
    lines = json.dumps({"model": FLUX, "input": {"prompt": "a lighthouse"}})
    batch = data_of(await stack.http.post("/api/v3/batches", content=lines))["id"]
    (delivery,) = (await stack.job(job))["deliveries"]
    limits = data_of(await stack.http.get("/api/v3/lanes"))
    shared = {"lane": limits["lanes"][0]["id"], "account": limits["accounts"][0]["id"], "tenant": "default"}
    doors = Doors(stack.http, {"job": job, "batch": batch, "delivery": delivery["id"]} | shared, stack)
    order = {"verb": "dismiss", "ids": [job]}
    doors.mine["action"] = data_of(await stack.http.post("/api/v3/actions", json=order))["id"]
    doors.mine["endpoint"], doors.mine["key"] = await doors.new_endpoint(), await doors.new_key()
    return doors


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
    key = await (doors.operators_key() if endpoint.is_operators else doors.key(str(endpoint.scope)))
    answer = await doors.knock(endpoint, key=key, ids=NOBODYS)
    assert answer.status_code not in (401, 403)


def test_nobody_administers_with_a_key_that_submits() -> None:
    reading = {"lanes", "list_endpoints", "endpoint"}
    administering = tuple(f"/api/v3/{word}" for word in ("lanes", "accounts", "keys", "tenants", "endpoints"))
    found = {one.name: one.scope for one in ENDPOINTS if one.path.startswith(administering)}
    assert {name for name, scope in found.items() if scope != "admin"} == reading


@pytest.mark.parametrize("ids", [None, NOBODYS], ids=["there", "not there"])
@pytest.mark.parametrize("endpoint", OPERATORS, ids=named)
async def test_what_is_the_operators_is_refused_to_a_tenants_admin(
    doors: Doors, endpoint: Endpoint, ids: dict[str, str] | None
) -> None:
    answer = await doors.knock(endpoint, key=await doors.key(*SCOPES), ids=ids)
    assert (answer.status_code, answer.json()["code"]) == (403, 403)


@pytest.mark.parametrize("endpoint", [one for one in OPERATORS if kind_of(one)], ids=named)
async def test_what_is_not_there_is_404_for_the_operator(doors: Doors, endpoint: Endpoint) -> None:
    answer = await doors.knock(endpoint, key=doors.stack.key, ids=NOBODYS)
    assert (answer.status_code, answer.json()["code"]) == (404, 404)


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
    if endpoint.method == "DELETE":
        doors.mine["endpoint"] = await doors.new_endpoint()
    assert answer.status_code in (200, 409), answer.text
