"""One endpoint as an operation of OpenAPI: its parameters, its body, and an answer for every status."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from orchestrator.errors import BeingSent, Busy, OrchestratorError, TooMany
from orchestrator.model_names import PATTERN
from orchestrator.web.query import IDEMPOTENCY_KEY, Parameter
from orchestrator.web.reference.endpoint import Endpoint
from orchestrator.web.reference.schemas import Json, Schemas
from orchestrator.web.reference.shapes.problems import Problem

KEY = "key"
_PLACE = re.compile(r"{(\w+)(?::(\w+))?}")
_PLACES: dict[str, Json] = {
    "version": {"type": "string", "enum": ["v3", "v2"], "default": "v3"},
    "model": {"type": "string", "pattern": f"^{PATTERN}$", "examples": ["wavespeed-ai/flux-dev"]},
    "attempt": {"type": "integer", "minimum": 0},
}
# With `:path` it may hold slashes.
_NAMES: Json = {"type": "string", "minLength": 1}
_IDS: Json = {"type": "string", "pattern": "^[0-9A-Za-z_-]+$"}
_OPERATORS = " Only for the operator: it takes an `admin` key of the tenant `default`."
_RETRIED = (Busy, BeingSent, TooMany)
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "Given where the same request came before, under the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    }
}


def shown_path(endpoint: Endpoint) -> str:
    """The path as OpenAPI writes it."""
    return _PLACE.sub(r"{\1}", endpoint.path)


def operation(endpoint: Endpoint, schemas: Schemas, *, tag: str) -> Json:
    told: Json = {
        "operationId": endpoint.name,
        "tags": [tag],
        "summary": endpoint.summary,
        "description": " ".join(f"{endpoint.about}{_OPERATORS if endpoint.is_operators else ''}".split()),
        "parameters": parameters(endpoint),
        "responses": responses(endpoint, schemas),
        "security": [{KEY: [endpoint.scope]}] if endpoint.scope else [],
    }
    if endpoint.body is not None:
        told["requestBody"] = {
            "required": endpoint.body.is_required,
            "content": schemas.contents(endpoint.body.contents),
        }
        if endpoint.body.example is not None:
            told["requestBody"]["content"]["application/json"]["example"] = endpoint.body.example
    return {name: value for name, value in told.items() if value or name == "security"}


def parameters(endpoint: Endpoint) -> list[Json]:
    return [
        *(
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": dict(_PLACES.get(name, _NAMES if convertor == "path" else _IDS)),
            }
            for name, convertor in _PLACE.findall(endpoint.path)
        ),
        *_described(endpoint.query, place="query"),
        *_described(endpoint.headers, place="header"),
    ]


def responses(endpoint: Endpoint, schemas: Schemas) -> Json:
    """By status; the provider's refusals, where they are handed on, stand behind all of ours."""
    by_status: dict[int, list[type[OrchestratorError]]] = {}
    for error in endpoint.refusals():
        by_status.setdefault(error.status, []).append(error)
    found = {str(status): _refusal(endpoint, errors, schemas) for status, errors in by_status.items()}
    if endpoint.is_passed_on:
        foreign = {"application/json": {"schema": {"type": "object"}}}
        found |= {
            "4XX": {"description": "The provider refused it.", "content": foreign},
            "5XX": {"description": "The provider is in trouble, or could not be asked.", "content": foreign},
        }
    success: Json = {"description": "Success.", "content": schemas.answer(endpoint.gives)}
    if IDEMPOTENCY_KEY in endpoint.headers:
        success["headers"] = _REPLAYED
    if endpoint.leads_to:
        success["links"] = {name: _link(name, endpoint.leads_by) for name in endpoint.leads_to}
    return {"200": success, **found}


def _link(name: str, field: str) -> Json:
    return {"operationId": name, "parameters": {f"path.{field}": f"$response.body#/data/{field}"}}


def _refusal(endpoint: Endpoint, errors: list[type[OrchestratorError]], schemas: Schemas) -> Json:
    is_of_lines = endpoint.problem is not None and errors[0].status == 400
    kind = endpoint.problem if is_of_lines else Problem
    told: Json = {
        "description": " ".join(str(error.__doc__).partition("\n")[0] for error in errors),
        "content": {"application/json": {"schema": schemas.of(kind)}},
    }
    if any(issubclass(error, _RETRIED) for error in errors):
        told["headers"] = _RETRY_AFTER
    return told


def _described(found: Iterable[Parameter], *, place: str) -> Iterable[dict[str, Any]]:
    for one in found:
        yield {
            "name": one.name,
            "in": place,
            "description": one.about,
            "schema": one.schema(),
            **({"style": "form", "explode": False} if one.schema()["type"] == "array" else {}),
            **({"required": True} if getattr(one, "is_required", False) else {}),
        }
