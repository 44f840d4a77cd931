"""The HTTP application: three lists (routes, error handlers, and what is opened) and nothing hidden."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from orchestrator.errors import Busy, OrchestratorError
from orchestrator.runtime import Runtime
from orchestrator.store import schema
from orchestrator.web import (
    actions,
    batches,
    callbacks,
    deliveries,
    doubt,
    events,
    jobs,
    keys,
    lanes,
    passed_on,
    predictions,
    results,
    tenants,
    versions,
)
from orchestrator.web.auth import Authenticator
from orchestrator.web.context import Context
from orchestrator.web.dashboard.routes import DASHBOARD
from orchestrator.web.problems import on_defect, on_error, on_gone, on_http
from orchestrator.web.short_way import ShortWay
from orchestrator.web.wire import NoNulInUrl, answer, problem

versions.register()
_V = "/api/{version:version}"


async def health(_request: Request) -> Response:
    """GET /health: this process answers."""
    return answer({"status": "ok"})


async def ready(request: Request) -> Response:
    """GET /ready: the database can be reached and has the newest tables; Redis is not needed."""
    runtime = Context.of(request).runtime
    try:
        current = await runtime.store.read(schema.is_current)
    except Busy:
        return problem(503, "The database cannot be reached.")
    if not current:
        return problem(503, "The database is not at the newest version: run `orchestrator migrate`.")
    return answer({"database": "up", "bell": "up" if runtime.bell.is_up else "down"})


# The two that every job passes.
SHORT = [
    Route(f"{_V}/{{model:model}}", predictions.submit, methods=["POST"]),
    Route("/callbacks/{provider}/{job}/{attempt:int}/{token}", callbacks.receive, methods=["POST"]),
]
ROUTES: list[BaseRoute] = [
    *SHORT,
    Route("/health", health),
    Route("/ready", ready),
    Route(f"{_V}/predictions", predictions.history, methods=["POST"]),
    Route(f"{_V}/predictions/delete", predictions.delete, methods=["POST"]),
    Route(f"{_V}/predictions/{{id}}/result", predictions.result),
    Route(f"{_V}/predictions/{{id}}/events", events.stream_of_job),
    Route(f"{_V}/predictions/{{id}}", predictions.result),
    Route(f"{_V}/models", passed_on.models),
    Route(f"{_V}/balance", passed_on.balance),
    Route(f"{_V}/webhook/secret", passed_on.webhook_secret),
    Route(f"{_V}/model/price", passed_on.price, methods=["POST"]),
    Route(f"{_V}/model/pricing", passed_on.pricing, methods=["POST"]),
    Route(f"{_V}/media/uploads", passed_on.upload_ticket, methods=["POST"]),
    Route(f"{_V}/media/upload/binary", passed_on.upload_binary, methods=["POST"]),
    Route("/api/v3/events", events.stream),
    Route("/api/v3/jobs", jobs.list_jobs),
    Route("/api/v3/jobs/{id}", jobs.read_job),
    Route("/api/v3/jobs/{id}/cancel", jobs.cancel_job, methods=["POST"]),
    Route("/api/v3/jobs/{id}/redrive", jobs.redrive_job, methods=["POST"]),
    Route("/api/v3/jobs/{id}/dismiss", jobs.dismiss_job, methods=["POST"]),
    Route("/api/v3/jobs/{id}/resolve", doubt.resolve_job, methods=["POST"]),
    Route("/api/v3/jobs/{id}/check", jobs.check_job, methods=["POST"]),
    Route("/api/v3/dead-letters", jobs.list_dead_letters),
    Route("/api/v3/actions", actions.create, methods=["POST"]),
    Route("/api/v3/actions", actions.list_actions),
    Route("/api/v3/actions/{id}", actions.read_action),
    Route("/api/v3/actions/{id}/stop", actions.stop_action, methods=["POST"]),
    Route("/api/v3/lanes", lanes.read_lanes),
    Route("/api/v3/lanes/{id:path}/pause", lanes.pause_lane, methods=["POST"]),
    Route("/api/v3/lanes/{id:path}/resume", lanes.resume_lane, methods=["POST"]),
    Route("/api/v3/lanes/{id:path}", lanes.change_lane, methods=["PATCH"]),
    Route("/api/v3/accounts/{id}", lanes.change_account, methods=["PATCH"]),
    Route("/api/v3/keys", keys.list_keys),
    Route("/api/v3/keys", keys.create_key, methods=["POST"]),
    Route("/api/v3/keys/{id}/revoke", keys.revoke_key, methods=["POST"]),
    Route("/api/v3/tenants", tenants.list_tenants),
    Route("/api/v3/tenants", tenants.add_tenant, methods=["POST"]),
    Route("/api/v3/tenants/{name:path}", tenants.change_tenant, methods=["PATCH"]),
    Route("/api/v3/deliveries", deliveries.list_deliveries),
    Route("/api/v3/deliveries/redeliver", deliveries.redeliver_dead, methods=["POST"]),
    Route("/api/v3/deliveries/{id}", deliveries.read_delivery),
    Route("/api/v3/deliveries/{id}/redeliver", deliveries.redeliver, methods=["POST"]),
    Route("/api/v3/batches", batches.create, methods=["POST"]),
    Route("/api/v3/batches", batches.list_batches),
    Route("/api/v3/batches/{id}", batches.read_batch),
    Route("/api/v3/batches/{id}/jobs", batches.list_jobs),
    Route("/api/v3/batches/{id}/results", results.results),
    *(
        Route(f"/api/v3/batches/{{id}}/{verb}", batches.order, methods=["POST"])
        for verb in ("pause", "resume", "cancel", "retry-failed")
    ),
    Route(f"{_V}/{{other:path}}", predictions.no_model, methods=["POST"]),
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
    app.state.remembered = passed_on.Remembered()
    return app
