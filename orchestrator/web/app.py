"""The HTTP application: three lists (routes, error handlers, and what is opened) and nothing hidden."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route

from orchestrator.errors import OrchestratorError
from orchestrator.runtime import Runtime
from orchestrator.store.group import Unwanted
from orchestrator.web import passed_on, predictions, versions
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
ROUTES: list[BaseRoute] = [
    *SHORT,
    *(endpoint.route() for endpoint in table.ENDPOINTS if endpoint not in table.SHORT),
    Route("/docs.css", pages.style),
    Route("/api/{version:version}/{other:path}", predictions.no_model, methods=["POST"], name=OTHERWISE),
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
            Unwanted: on_gone,
            Exception: on_defect,
        },
    )
    app.state.runtime = runtime
    app.state.authenticate = Authenticator(runtime.store)
    app.state.reference = Reference(table.GROUPS)
    app.state.remembered = passed_on.Remembered()
    return app
