"""The API description in OpenAPI 3.1, made of the route table and of the catalogue's pages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.web.reference import models
from orchestrator.web.reference.endpoint import Either, Group
from orchestrator.web.reference.operations import KEY, operation, shown_path
from orchestrator.web.reference.schemas import Json, Schemas
from orchestrator.web.reference.shapes.webhooks import WEBHOOKS, Webhook

_ABOUT = """A self-hosted job orchestrator for media-generation APIs. It speaks WaveSpeed's protocol, stores
each job before it answers, and sees it through whatever happens in between.

Every answer in JSON is `{"code": 200, "message": "success", "data": ...}`, and every refusal has the HTTP
status as its `code`, a sentence as its `message` and, where a value is wrong, its path as `field`."""
_KEY = "An API key of this server, with the scope `read`, `submit` or `admin` that the operation names."
_SUBMIT = "submit"


class Reference:
    """The description of one application. Made again only when the catalogue has changed."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)
        self._made: tuple[Catalogue, Json] | None = None

    def document(self, catalogue: Catalogue, *, server: str) -> Json:
        """`server` is the base URL that clients are told."""
        if self._made is None or self._made[0] is not catalogue:
            self._made = (catalogue, describe(self.groups, catalogue))
        return self._made[1] | {"servers": [{"url": server}]}


def describe(groups: Sequence[Group], catalogue: Catalogue) -> Json:
    schemas = Schemas(groups)
    paths: Json = {}
    for group in groups:
        for endpoint in group.endpoints:
            told = operation(endpoint, schemas, tag=group.name)
            paths.setdefault(shown_path(endpoint), {})[endpoint.method.lower()] = told
    submit = next(one["post"] for one in paths.values() if one.get("post", {}).get("operationId") == _SUBMIT)
    of_models = {
        models.path_of(page): {"post": models.model_operation(page, submit)} for page in catalogue.pages
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Orchestrator",
            "version": version("orchestrator"),
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": _tags(groups),
        "paths": of_models | paths,
        "webhooks": _webhooks(schemas),
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {KEY: {"type": "http", "scheme": "bearer", "description": _KEY}},
        },
    }


def _tags(groups: Sequence[Group]) -> list[Json]:
    first, *others = ({"name": group.name, "description": group.about} for group in groups)
    about = "The models of the catalogue, with the inputs that are checked before anything is paid."
    return [first, {"name": models.TAG, "description": about}, *others]


def _webhooks(schemas: Schemas) -> Json:
    return {one.name: {"post": _webhook(one, schemas)} for one in WEBHOOKS}


def _webhook(one: Webhook, schemas: Schemas) -> Json:
    return {
        "operationId": f"told_{one.name}",
        "summary": one.summary,
        "description": one.about,
        "requestBody": {"content": schemas.contents({"application/json": Either(one.kinds)})},
        "responses": {"2XX": {"description": "Heard. Anything else is sent again for about 76 hours."}},
        "security": [],
    }
