"""The routes for tenants, which are the operator's: who shares the account, and within which limits."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import InvalidInput, NotFound
from orchestrator.flow import administer
from orchestrator.store import tenants
from orchestrator.store.idempotency import Once
from orchestrator.store.tenants import Tenant, Terms
from orchestrator.web.context import Context
from orchestrator.web.fields import read_fields, read_with_body
from orchestrator.web.idempotent import answer_once
from orchestrator.web.keys import Name, checked_name
from orchestrator.web.wire import answer

# Outside of these a job would count for so much or so little that turns are lost in the rounding.
Weight = Annotated[float, Meta(ge=0.001, le=1_000)]
Limit = Annotated[int, Meta(ge=0, le=999_999_999)]


class TenantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not given stays; null lifts a limit."""

    weight: Weight | UnsetType = UNSET
    max_in_flight: Limit | UnsetType | None = UNSET
    max_queued: Limit | UnsetType | None = UNSET

    @property
    def terms(self) -> Terms:
        return Terms(weight=self.weight, max_in_flight=self.max_in_flight, max_queued=self.max_queued)


class WantedTenant(TenantChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant to be added."""

    name: Name


async def list_tenants(request: Request) -> Response:
    """GET /api/v3/tenants: by name, with their keys and waiting jobs counted."""
    here = Context.of(request)
    await here.authenticate_operator(request)
    return answer({"items": [_shown(one) for one in await here.runtime.store.read(tenants.list_tenants)]})


async def add_tenant(request: Request) -> Response:
    """POST /api/v3/tenants: 409 when there is one of this name."""
    here = Context.of(request)
    by = await here.authenticate_operator(request)
    wanted, body = await read_with_body(request, WantedTenant)

    async def first(once: Once | None) -> Response:
        await administer.add_tenant(here.runtime, by, checked_name(wanted.name), wanted.terms, once=once)
        return await _one(here, wanted.name)

    async def again(_first_id: str) -> Response:
        return await _one(here, wanted.name)

    return await answer_once(request, by.tenant_id, body, first=first, again=again)


async def change_tenant(request: Request) -> Response:
    """PATCH /api/v3/tenants/{name}: counts from the next claim and the next submission on."""
    here = Context.of(request)
    by = await here.authenticate_operator(request)
    change, name = await read_fields(request, TenantChange), request.path_params["name"]
    if change == TenantChange():
        raise InvalidInput("", "give at least one of weight, max_in_flight and max_queued")
    await administer.change_tenant(here.runtime, by, name, change.terms)
    return await _one(here, name)


async def _one(here: Context, name: str) -> Response:
    found = await here.runtime.store.read(tenants.list_tenants)
    one = next((one for one in found if one.name == name), None)
    if one is None:
        raise NotFound("There is no such tenant.")
    return answer(_shown(one))


def _shown(one: Tenant) -> dict[str, Any]:
    return msgspec.structs.asdict(one)
