"""The routes for tenants, which are the operator's."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from orchestrator.errors import Conflict
from orchestrator.web import tenants
from orchestrator.web.query import IDEMPOTENCY_KEY
from orchestrator.web.reference.endpoint import Body, Endpoint, Group
from orchestrator.web.reference.shapes import tenants as shapes

_SOMETHING = Annotated[tenants.TenantChange, Meta(extra_json_schema={"minProperties": 1})]

GROUP = Group(
    "Tenants",
    "Who shares the accounts, in what proportion, and within which limits.",
    (
        Endpoint(
            name="list_tenants",
            method="GET",
            path="/api/v3/tenants",
            handler=tenants.list_tenants,
            scope="admin",
            is_operators=True,
            summary="List tenants by name",
            gives=shapes.Tenants,
        ),
        Endpoint(
            name="add_tenant",
            method="POST",
            path="/api/v3/tenants",
            handler=tenants.add_tenant,
            scope="admin",
            is_operators=True,
            summary="Add a tenant",
            headers=(IDEMPOTENCY_KEY,),
            body=Body({"application/json": tenants.WantedTenant}, example={"name": "studio", "weight": 2}),
            gives=shapes.Tenant,
            refuses=(Conflict,),
            leads_to=("change_tenant",),
            leads_by="name",
        ),
        Endpoint(
            name="change_tenant",
            method="PATCH",
            path="/api/v3/tenants/{name:path}",
            handler=tenants.change_tenant,
            scope="admin",
            is_operators=True,
            summary="Change a tenant's share or its limits",
            about="What is not given stays; null lifts a limit. It counts from the next claim or job on.",
            body=Body({"application/json": _SOMETHING}, example={"weight": 2}),
            gives=shapes.Tenant,
        ),
    ),
)
