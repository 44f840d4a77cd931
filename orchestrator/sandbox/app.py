"""The sandbox's routes, as one list: WaveSpeed's own under both versions, the files, and the control door."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from orchestrator.sandbox import control, files, queries
from orchestrator.sandbox.house import House
from orchestrator.sandbox.protocol import Refusal, refused
from orchestrator.sandbox.submit import submit


def create_app(house: House) -> Starlette:
    """The application over an open house."""
    app = Starlette(
        routes=[*_api("v3"), *_api("v2"), *FILES, *CONTROL],
        exception_handlers={Refusal: _refuse, HTTPException: _refuse_http},
    )
    app.state.house = house
    return app


def _api(version: str) -> list[BaseRoute]:
    """The catch-all of the submits stands last: the other POST paths must be matched first."""
    root = f"/api/{version}"
    return [
        Route(f"{root}/predictions/{{id}}/result", queries.result, methods=["GET"]),
        Route(f"{root}/predictions/{{id}}", queries.result, methods=["GET"]),
        Route(f"{root}/predictions", queries.history, methods=["POST"]),
        Route(f"{root}/predictions/delete", queries.delete, methods=["POST"]),
        Route(f"{root}/models", queries.models, methods=["GET"]),
        Route(f"{root}/balance", queries.balance, methods=["GET"]),
        Route(f"{root}/webhook/secret", queries.webhook_secret, methods=["GET"]),
        Route(f"{root}/model/price", queries.price, methods=["POST"]),
        Route(f"{root}/model/pricing", queries.pricing, methods=["POST"]),
        Route(f"{root}/media/uploads", files.issue_ticket, methods=["POST"]),
        Route(f"{root}/media/upload/binary", files.upload_binary, methods=["POST"]),
        Route(f"{root}/{{model:path}}", submit, methods=["POST"]),
    ]


FILES: list[BaseRoute] = [
    Route("/media/uploads/{token}", files.put_upload, methods=["PUT"]),
    Route("/media/{folder}/{name}", files.download_media, methods=["GET"]),
    Route("/outputs/{id}/{name}", files.download_output, methods=["GET"]),
]
CONTROL: list[BaseRoute] = [
    Route("/control/faults", control.add_fault, methods=["POST"]),
    Route("/control/faults", control.list_faults, methods=["GET"]),
    Route("/control/faults", control.drop_faults, methods=["DELETE"]),
    Route("/control/reset", control.reset, methods=["POST"]),
    Route("/control/tasks", control.tasks, methods=["GET"]),
    Route("/control/requests", control.requests, methods=["GET"]),
    Route("/control/stats", control.stats, methods=["GET"]),
    Route("/control/finish", control.finish, methods=["POST"]),
    Route("/control/callback", control.callback, methods=["POST"]),
]


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return refused(error.status, str(error), error.headers)


async def _refuse_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return refused(error.status_code, error.detail, error.headers)
