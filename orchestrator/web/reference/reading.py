"""The API description as its page shows it: sections of operations, with tables of fields and an example."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.web.reference.schemas import Json

_METHODS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 3
_TEXTS = {"application/x-ndjson": "JSON lines", "application/json": "JSON"}


class Row(msgspec.Struct, frozen=True):
    """One field: `name` is its path from the top."""

    name: str
    kind: str
    about: str
    is_required: bool


class Content(msgspec.Struct, frozen=True):
    media_type: str
    kind: str
    rows: list[Row]


class Answer(msgspec.Struct, frozen=True):
    status: str
    about: str
    contents: list[Content]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    anchor: str
    method: str
    path: str
    summary: str
    about: str
    scope: str
    parameters: list[tuple[str, Row]]
    body: list[Content]
    answers: list[Answer]
    example: str


class Section(msgspec.Struct, frozen=True):
    anchor: str
    name: str
    about: str
    operations: list[Operation]


def sections(document: Json) -> list[Section]:
    """One for each tag, in their order, and one for the webhooks."""
    server = document["servers"][0]["url"]
    by_tag: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                shown = _operation(document, method, path, item[method], server=server)
                by_tag[item[method]["tags"][0]].append(shown)
    found = [
        Section(f"about-{tag['name'].lower()}", tag["name"], tag["description"], by_tag[tag["name"]])
        for tag in document["tags"]
    ]
    told = [
        _operation(document, "post", "YOUR WEBHOOK", item["post"], server="")
        for item in document["webhooks"].values()
    ]
    return [*found, Section("about-webhooks", "Webhooks", "What your own server is sent.", told)]


def _operation(document: Json, method: str, path: str, told: Json, *, server: str) -> Operation:
    body = told.get("requestBody", {}).get("content", {})
    return Operation(
        anchor=told["operationId"],
        method=method.upper(),
        path=path,
        summary=told["summary"],
        about=told.get("description", ""),
        scope=next((scope for need in told["security"] for scope in next(iter(need.values()))), ""),
        parameters=[
            (
                one["in"],
                _row(document, one["name"], one["schema"] | _about(one), is_required="required" in one),
            )
            for one in told.get("parameters", [])
        ],
        body=_contents(document, body),
        answers=[
            Answer(status, one["description"], _contents(document, one.get("content", {})))
            for status, one in told["responses"].items()
        ],
        example=_curl(method, f"{server}{path}", told, body) if server else "",
    )


def _about(told: Json) -> Json:
    return {"description": told["description"]} if "description" in told else {}


def _contents(document: Json, contents: Json) -> list[Content]:
    found = []
    for media_type, content in contents.items():
        schema = content["schema"]
        found.append(Content(media_type, _kind(document, schema), list(_rows(document, schema, depth=0))))
    return found


def _rows(document: Json, schema: Json, *, depth: int, before: str = "") -> Iterator[Row]:
    """Every field of an object or of the items of a list, the fields of fields indented by their path."""
    schema = _resolved(document, schema.get("contentSchema", schema))
    if schema.get("type") == "array":
        before, schema = f"{before.removesuffix('.')}[].", _resolved(document, schema.get("items", {}))
    for one in schema.get("anyOf", []):
        yield from _rows(document, one, depth=depth, before=before)
    for name, inner in schema.get("properties", {}).items():
        yield _row(document, f"{before}{name}", inner, is_required=name in schema.get("required", []))
        if depth < _DEEPEST:
            yield from _rows(document, inner, depth=depth + 1, before=f"{before}{name}.")


def _row(document: Json, name: str, schema: Json, *, is_required: bool) -> Row:
    about = schema.get("description", "")
    if schema.get("default") is not None:
        about = f"{about} Default: {msgspec.json.encode(schema['default']).decode()}.".strip()
    return Row(name, _kind(document, schema), about, is_required)


def _kind(document: Json, schema: Json) -> str:
    """In a word or two: what a value may be."""
    schema = _resolved(document, schema)
    if "contentSchema" in schema:
        return _TEXTS[schema["contentMediaType"]]
    if "const" in schema:
        return str(msgspec.json.encode(schema["const"]).decode())
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"] if one not in (None, ""))
    if "anyOf" in schema:
        kinds = [_kind(document, one) for one in schema["anyOf"]]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    kind = schema.get("type", "any")
    names = [one for one in ([kind] if isinstance(kind, str) else kind) if one != "null"]
    if names == ["array"] and schema.get("items"):
        return f"array of {_kind(document, schema['items'])}"
    return schema.get("format") or " or ".join(names) + _span(schema)


def _span(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None:
        return ""
    return f", {low:g} to {high:g}" if abs(high) < 10**6 else f", from {low:g}"


def _resolved(document: Json, schema: Json) -> Json:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    found: Json = document["components"]["schemas"][name]
    return found


def _curl(method: str, url: str, told: Json, body: Json) -> str:
    """The request as a command that can be pasted."""
    url = re.sub("{version}", "v3", url)
    url = re.sub("{model}", "wavespeed-ai/flux-dev", url)
    url = re.sub("{(\\w+)}", lambda found: found[1].upper(), url)
    asked = "&".join(f"{one['name']}={_value(one)}" for one in told.get("parameters", []) if _is_needed(one))
    words = [f"curl {shlex.quote(url + ('?' + asked if asked else ''))}"]
    if method != "get":
        words[0] = words[0].replace("curl", f"curl -X {method.upper()}", 1)
    if told["security"]:
        words.append('-H "Authorization: Bearer $KEY"')
    if "multipart/form-data" in body:
        words.append("-F file=@cat.png")
    elif "application/json" in body:
        words.append("-H 'Content-Type: application/json'")
        example: Any = body["application/json"].get("example", {})
        words.append(f"-d {shlex.quote(msgspec.json.encode(example).decode())}")
    return " \\\n  ".join(words)


def _is_needed(parameter: Json) -> bool:
    return parameter["in"] == "query" and bool(parameter.get("required"))


def _value(parameter: Json) -> str:
    schema = parameter["schema"]
    return str((schema.get("enum") or schema.get("examples") or ["VALUE"])[0])
