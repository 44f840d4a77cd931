"""WaveSpeed's shapes on the wire: the envelope, the prediction, the errors. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import Response

from orchestrator.sandbox.tasks import Task

TEXT_OF_CODE = {
    1200: "The content was flagged by the safety checker.",
    1400: "A required parameter is missing.",
    1401: "A parameter has an invalid value.",
    1402: "media access failed",
    1403: "The task failed.",
    1405: "The task failed.",
    5000: "Internal error.",
    5003: "The service is unavailable.",
    5004: "The task timed out.",
}
HTML_PAGE = b"<html><head><title>Error</title></head><body><h1>The server had a bad moment</h1></body></html>"


class Prediction(msgspec.Struct, kw_only=True):
    """The superset of both versions' fields, never null: v2 tells `executionTime`, v3 `timings`."""

    id: str
    model: str
    status: str
    outputs: list[str] | msgspec.Raw
    urls: dict[str, str]
    has_nsfw_contents: list[bool]
    created_at: str
    error: str
    code: int
    timings: dict[str, int]
    executionTime: int  # noqa: N815  the name on the wire
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Refusal(Exception):
    """The request is answered with this HTTP status and WaveSpeed's error envelope."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def describe(task: Task) -> Prediction:
    """The task as it stands now."""
    ran_ms = (task.ended_ms or 0) - (task.started_ms or 0) if task.ended_ms else 0
    return Prediction(
        id=task.id,
        model=task.model,
        status=task.status,
        outputs=task.outputs,
        urls={"get": f"{task.base}/api/{task.version}/predictions/{task.id}/result"},
        has_nsfw_contents=[False] * len(task.outputs) if isinstance(task.outputs, list) else [],
        created_at=iso(task.created_ms),
        error=task.error,
        code=task.code,
        timings={"inference": ran_ms},
        executionTime=ran_ms,
    )


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds and Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def envelope(data: Any) -> bytes:
    """`{"code":200,"message":"success","data":…}`."""
    return msgspec.json.encode({"code": 200, "message": "success", "data": data})


def answer(data: Any) -> Response:
    """A good answer in the envelope."""
    return json_response(envelope(data))


def plain(data: Any) -> Response:
    """A good answer without the envelope, as the control endpoints give it."""
    return json_response(msgspec.json.encode(data))


def json_response(body: bytes, status: int = 200) -> Response:
    """Bytes that are JSON already."""
    return Response(body, status, media_type="application/json")


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """WaveSpeed's error envelope: `{"code":<status>,"message":"…"}`."""
    body = msgspec.json.encode({"code": status, "message": message})
    return Response(body, status, dict(headers or {}), media_type="application/json")


def html_error(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """What a gateway in front of WaveSpeed says: no JSON, no envelope."""
    return Response(HTML_PAGE, status, dict(headers or {}), media_type="text/html")
