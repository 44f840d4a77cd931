"""The provider's answer to GET /api/v3/models: read for our catalogue, and worded for our users."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.catalogue.checker import Checker
from orchestrator.catalogue.page import Kind, Limits, Page, Parameter
from orchestrator.errors import InvalidInput, ProviderTrouble

_KINDS = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.SWITCH,
    "array": Kind.LIST,
    "object": Kind.OBJECT,
}
_HIGHEST = sys.float_info.max


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]


def decode(body: bytes) -> dict[str, Any]:
    """The provider's answer, each item decoded by itself: one that cannot be hides no other.

    Raises ProviderTrouble. Nothing of it is stored, so JSON's numbers are taken as they are, however long.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ProviderTrouble(
            "The provider's list of models could not be read.", cause=str(problem)
        ) from None
    return {"code": 200, "message": "success", "data": list(_decoded(answer.data))}


def with_server(body: bytes, server: str) -> bytes:
    """The answer with this base URL in all places that say where a model is run. Raises ProviderTrouble."""
    answer = decode(body)
    for item in answer["data"]:
        for run in _runs(item):
            if isinstance(run, dict) and "server" in run:
                run["server"] = server
    return msgspec.json.encode(answer)


def _decoded(items: list[msgspec.Raw]) -> Iterator[Any]:
    for item in items:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield msgspec.json.decode(item)


def read_models(answer: Any) -> Iterator[Checker]:
    """The checks of the v3 pages in the provider's answer, with or without its envelope; what cannot be read
    is skipped.

    The provider's schemas are not compiled as they stand, only what is understood of them is taken over:
    no reference is followed, no foreign pattern is run, and a keyword unknown to us checks nothing.
    """
    items = answer.get("data") if isinstance(answer, dict) else answer
    for item in items if isinstance(items, list) else ():
        page = _read_item(item)
        checker = None if page is None else _compile(page)
        if checker is not None:
            yield checker


def _read_item(item: Any) -> Page | None:
    schema = _request_schema(item)
    if schema is None or not isinstance(item.get("model_id"), str):
        return None
    model = item["model_id"]
    price = item.get("base_price")
    return Page(
        model=model,
        version="v3",
        name=_text(item.get("name")) or model,
        type=_text(item.get("type")),
        description=_text(item.get("description")),
        parameters=tuple(_read_parameters(schema)),
        base_price=float(price) if _is_number(price) else 0.0,
    )


def _request_schema(item: Any) -> dict[str, Any] | None:
    try:
        schema = next(run["request_schema"] for run in _runs(item) if run["type"] == "model_run")
        readable = isinstance(schema["properties"], dict) and isinstance(schema.get("required", []), list)
    except (KeyError, TypeError, AttributeError, StopIteration):
        return None
    return schema if readable else None


def _runs(item: Any) -> list[Any]:
    try:
        runs = item["api_schema"]["api_schemas"]
    except (KeyError, TypeError):
        return []
    return runs if isinstance(runs, list) else []


def _read_parameters(schema: dict[str, Any]) -> Iterator[Parameter]:
    properties = schema["properties"]
    order = schema.get("x-order-properties")
    listed = [name for name in order if isinstance(name, str)] if isinstance(order, list) else []
    for name in dict.fromkeys([*listed, *properties]):
        if isinstance(properties.get(name), dict):
            yield _read_parameter(name, properties[name], required=name in schema.get("required", []))


def _read_parameter(name: str, facts: dict[str, Any], *, required: bool) -> Parameter:
    limits = _limits(facts)
    default = facts.get("default")
    word = facts.get("type")
    kind = _KINDS.get(word, Kind.ANY) if isinstance(word, str) else Kind.ANY
    if name == "size" and kind is Kind.TEXT and None not in limits:
        kind = Kind.SIZE
    most = facts.get("maxItems")
    return Parameter(
        name,
        kind,
        _text(facts.get("description")),
        required=required,
        default=tuple(default) if isinstance(default, list) else default,
        limits=limits if kind in (Kind.INTEGER, Kind.NUMBER, Kind.SIZE) else (None, None),
        choices=_choices(facts.get("enum")),
        max_items=most if kind is Kind.LIST and type(most) is int and most >= 0 else None,
    )


def _limits(facts: dict[str, Any]) -> Limits:
    low, high = (facts.get(word) for word in ("minimum", "maximum"))
    low, high = (low if _is_number(low) else None), (high if _is_number(high) else None)
    contradictory = low is not None and high is not None and low > high
    return (None, None) if contradictory else (low, high)


def _choices(words: Any) -> tuple[Any, ...]:
    plain = isinstance(words, list) and all(isinstance(word, (str, int, float)) for word in words)
    return tuple(words) if plain else ()


def _compile(page: Page) -> Checker | None:
    """None for a schema that is none at all, or refuses its own defaults: it does not say what is taken."""
    try:
        checker = Checker(page)
        checker.check_given(dict(page.implied))
    except (InvalidInput, ValueError):
        return None
    return checker


def _is_number(value: Any) -> bool:
    """One that a float can hold, too: JSON's integers have no end."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _HIGHEST


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
