"""The HTTP application: three lists (routes, error handlers, and what is opened) and nothing hidden."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route

from orchestrator.errors import OrchestratorError
from orchestrator.runtime import Runtime
from orchestrator.web import (
    doubt,
    endpoints,
    events,
    jobs,
    keys,
    lanes,
    login_links,
    passed_on,
    predictions,
    tenants,
    versions,
)
from orchestrator.web.allowed import OTHERWISE
from orchestrator.web.auth import Authenticator
from orchestrator.web.dashboard.routes import DASHBOARD
from orchestrator.web.problems import on_defect, on_error, on_gone, on_http
from orchestrator.web.reference import pages
from orchestrator.web.reference.document import Reference
from orchestrator.web.reference.tables import table
from orchestrator.web.short_way import ShortWay
from orchestrator.web.wire import NoNulInUrl

versions.register()
# What is described stands in the table of the reference; here is the rest.
SHORT = [endpoint.route() for endpoint in table.SHORT]
_V = "/api/{version:version}"
ROUTES: list[BaseRoute] = [
    *SHORT,
    *(endpoint.route() for endpoint in table.ENDPOINTS if endpoint not in table.SHORT),
    Route(f"{_V}/predictions/{{id}}/events", events.stream_of_job),
    Route("/api/v3/events", events.stream),
    Route("/api/v3/jobs/{id}/dismiss", jobs.dismiss_job, methods=["POST"]),
    Route("/api/v3/jobs/{id}/resolve", doubt.resolve_job, methods=["POST"]),
    Route("/api/v3/lanes/{id:path}/pause", lanes.pause_lane, methods=["POST"]),
    Route("/api/v3/lanes/{id:path}/resume", lanes.resume_lane, methods=["POST"]),
    Route("/api/v3/lanes/{id:path}", lanes.change_lane, methods=["PATCH"]),
    Route("/api/v3/accounts/{id}", lanes.change_account, methods=["PATCH"]),
    Route("/api/v3/keys", keys.list_keys),
    Route("/api/v3/keys", keys.create_key, methods=["POST"]),
    Route("/api/v3/keys/{id}/revoke", keys.revoke_key, methods=["POST"]),
    Route("/api/v3/login-links", login_links.create, methods=["POST"]),
    Route("/api/v3/tenants", tenants.list_tenants),
    Route("/api/v3/tenants", tenants.add_tenant, methods=["POST"]),
    Route("/api/v3/tenants/{name:path}", tenants.change_tenant, methods=["PATCH"]),
    Route("/api/v3/endpoints", endpoints.create, methods=["POST"]),
    Route("/api/v3/endpoints", endpoints.list_endpoints),
    Route("/api/v3/endpoints/{id}", endpoints.read_endpoint),
    Route("/api/v3/endpoints/{id}", endpoints.change, methods=["PATCH"]),
    Route("/api/v3/endpoints/{id}", endpoints.remove, methods=["DELETE"]),
    Route("/api/v3/endpoints/{id}/rotate-secret", endpoints.rotate_secret, methods=["POST"]),
    Route("/api/v3/endpoints/{id}/secret", endpoints.read_secret),
    Route("/api/v3/endpoints/{id}/test", endpoints.send_test, methods=["POST"]),
    Route("/docs.css", pages.style),
    Route(f"{_V}/{{other:path}}", predictions.no_model, methods=["POST"], name=OTHERWISE),
    *DASHBOARD,
]


def create_app(runtime: Runtime) -> Starlette:
    """The application over what this process has opened."""
    app = ShortWay(
        short=SHORT,
        routes=ROUTES,
        middleware=[Middleware(NoNulInUrl)],
        exception_handlers={
            OrchestratorError: on_error,
            HTTPException: on_http,
            ClientDisconnect: on_gone,
            Exception: on_defect,
        },
    )
    app.state.runtime = runtime
    app.state.authenticate = Authenticator(runtime.store)
    app.state.reference = Reference(table.GROUPS)
    app.state.remembered = passed_on.Remembered()
    return app
