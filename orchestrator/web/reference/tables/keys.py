"""The routes for API keys."""

from __future__ import annotations

from orchestrator.errors import Conflict
from orchestrator.web import keys, login_links
from orchestrator.web.query import IDEMPOTENCY_KEY
from orchestrator.web.reference.endpoint import Body, Endpoint, Group
from orchestrator.web.reference.shapes import keys as shapes

GROUP = Group(
    "Keys",
    "An `admin` key manages the keys of its own tenant; one of the tenant `default` manages those of all.",
    (
        Endpoint(
            name="list_keys",
            method="GET",
            path="/api/v3/keys",
            handler=keys.list_keys,
            scope="admin",
            summary="List API keys",
            about="By tenant and age. The keys themselves are nowhere.",
            query=(keys.TENANT,),
            gives=shapes.ApiKeys,
        ),
        Endpoint(
            name="create_key",
            method="POST",
            path="/api/v3/keys",
            handler=keys.create_key,
            scope="admin",
            summary="Make an API key",
            about="""The answer shows the key, this once: repeated under its `Idempotency-Key` the request is
a 409 that names the key that it made. The operator may name another tenant than his own. `expires_at` lies
in the next ten years.""",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(
                {"application/json": keys.WantedKey},
                example={"name": "render farm", "scopes": ["submit", "read"]},
            ),
            gives=shapes.NewApiKey,
            refuses=(Conflict,),
            leads_to=("revoke_key",),
        ),
        Endpoint(
            name="revoke_key",
            method="POST",
            path="/api/v3/keys/{id}/revoke",
            handler=keys.revoke_key,
            scope="admin",
            summary="Revoke an API key",
            about="Servers refuse it within two seconds. Revoked twice is as once.",
            gives=shapes.ApiKey,
        ),
        Endpoint(
            name="create_login_link",
            method="POST",
            path="/api/v3/login-links",
            handler=login_links.create,
            scope="admin",
            summary="Make a link that logs in to the dashboard",
            about="Whoever opens it within 15 minutes is logged in, once, with all that the asking key may.",
            gives=shapes.LoginLink,
        ),
    ),
)
