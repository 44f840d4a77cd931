"""The JSON Schemas of an API description: of types, of contents by media type, and of the usual envelope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orchestrator.web.reference.endpoint import Either, Events, Group, Lines, Plain
from orchestrator.web.reference.shapes.problems import Problem, ProblemOfLines
from orchestrator.web.reference.shapes.webhooks import WEBHOOKS

Json = dict[str, Any]
_TEMPLATE = "#/components/schemas/{name}"
_JSON = "application/json"


class Schemas:
    """All types of some groups of endpoints, each described once and referred to by its name."""

    def __init__(self, groups: Iterable[Group]) -> None:
        kinds = list({str(kind): kind for kind in _kinds(groups)}.values())
        found, self.components = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
        self._found = {str(kind): schema for kind, schema in zip(kinds, found, strict=True)}

    def of(self, kind: Any) -> Json:
        """The schema of a type, or of Either, Events, Lines or Plain."""
        if isinstance(kind, Plain):
            return dict(kind.schema)
        if isinstance(kind, Lines):
            return _text(self.of(kind.kind), media_type="application/x-ndjson")
        if isinstance(kind, Either):
            return {"anyOf": [self.of(one) for one in kind.kinds]}
        if isinstance(kind, Events):
            return _event(kind.names, self.of(Either(kind.kinds)))
        return dict(self._found[str(kind)])

    def answer(self, gives: Any) -> Json:
        """The contents of a success."""
        return (
            self.contents(gives) if isinstance(gives, Mapping) else {_JSON: {"schema": self._envelope(gives)}}
        )

    def contents(self, kinds: Mapping[str, Any]) -> Json:
        return {media_type: {"schema": self.of(kind)} for media_type, kind in kinds.items()}

    def _envelope(self, kind: Any) -> Json:
        return {
            "type": "object",
            "properties": {
                "code": {"const": 200},
                "message": {"const": "success"},
                "data": self.of(kind),
            },
            "required": ["code", "message", "data"],
        }


def _text(inner: Json, *, media_type: str) -> Json:
    return {"type": "string", "contentMediaType": media_type, "contentSchema": inner}


def _event(names: Iterable[str], data: Json) -> Json:
    """Of a stream, each event is described."""
    return {
        "type": "object",
        "properties": {
            "event": {"enum": list(names)},
            "id": {"type": "string"},
            "data": _text(data, media_type="application/json"),
        },
        "required": ["data"],
    }


def _kinds(groups: Iterable[Group]) -> Iterable[Any]:
    yield from (Problem, ProblemOfLines)
    for webhook in WEBHOOKS:
        yield from webhook.kinds
    for endpoint in (endpoint for group in groups for endpoint in group.endpoints):
        gives = endpoint.gives.values() if isinstance(endpoint.gives, Mapping) else [endpoint.gives]
        body = endpoint.body.contents.values() if endpoint.body else ()
        for kind in (*gives, *body):
            yield from _types_in(kind)


def _types_in(kind: Any) -> Iterable[Any]:
    match kind:
        case Plain():
            return ()
        case Lines():
            return (kind.kind,)
        case Either() | Events():
            return kind.kinds
    return (kind,)
