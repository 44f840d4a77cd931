"""A model's page as the fields of a form, and what was typed into them as the model's inputs.

What is left empty is left out: the model has a default of its own for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from orchestrator import strict_json
from orchestrator.catalogue.page import Kind, Page, Parameter
from orchestrator.errors import InvalidInput

PREFIX = "in."
"""Stands before the name of each field, so that a parameter may be called as it likes."""
_LEFT_OUT = frozenset({"enable_sync_mode", "webhook", "webhook_url"})
_Look = Literal["long", "line", "number", "choice", "size", "media", "json"]
_LOOKS: dict[Kind, _Look] = {
    Kind.INTEGER: "number",
    Kind.NUMBER: "number",
    Kind.SWITCH: "choice",
    Kind.SIZE: "size",
    Kind.MEDIA: "media",
    Kind.LIST: "json",
    Kind.OBJECT: "json",
    Kind.ANY: "json",
}
_SIZES = ("1024*1024", "1280*720", "720*1280", "1536*1024", "1024*1536", "512*512")


class Field(msgspec.Struct, frozen=True):
    """One input of the form; `otherwise` is what leaving it empty stands for, `rule` its range in words."""

    name: str
    look: _Look
    help: str
    is_required: bool
    value: str
    otherwise: str
    rule: str
    choices: tuple[str, ...]
    low: str
    high: str
    step: str


def fields(page: Page, typed: Mapping[str, str]) -> list[Field]:
    """In the order of the page; `typed` has what stands in them already."""
    return [_field(row, typed.get(row.name, "")) for row in page.parameters if row.name not in _LEFT_OUT]


def read(page: Page, typed: Mapping[str, str]) -> dict[str, Any]:
    """The inputs. Raises InvalidInput only for what must be JSON; the catalogue checks the rest."""
    rows = {row.name: row for row in page.parameters}
    found = {name: _value(rows[name], text) for name, text in typed.items() if name in rows and text.strip()}
    return read_json(strict_json.encode(found).decode())


def read_json(text: str) -> dict[str, Any]:
    """Inputs as they are typed for a model that nobody knows. Raises InvalidInput."""
    try:
        return strict_json.decode_object(text.encode(), what="what is typed here")
    except InvalidInput as wrong:
        raise _with_place(text) or wrong from None


def _with_place(text: str) -> InvalidInput | None:
    """Where the text stops to be JSON, in words for people; None where it is some."""
    try:
        json.loads(text)
    except json.JSONDecodeError as wrong:
        where = f"line {wrong.lineno}, character {wrong.colno}"
        return InvalidInput("", f"what is typed here is not valid JSON: look at {where}", cause=str(wrong))
    except RecursionError:
        return None
    return None


def typed_of(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Inputs as somebody would have typed them."""
    return {name: _typed(value) for name, value in inputs.items() if value is not None}


def _field(row: Parameter, value: str) -> Field:
    low, high = ("" if limit is None else f"{limit:.15g}" for limit in row.limits)
    return Field(
        name=row.name,
        look="choice" if row.choices else _LOOKS.get(row.kind) or _look_of_text(row),
        help=row.description,
        is_required=row.required,
        value=value,
        otherwise="" if row.default is None else _typed(row.default),
        rule=_rule(row, low, high),
        choices=_choices(row),
        low=low,
        high=high,
        step="1" if row.kind is Kind.INTEGER else "any",
    )


def _look_of_text(row: Parameter) -> _Look:
    return "long" if "prompt" in row.name or "text" in row.name or row.required else "line"


def _rule(row: Parameter, low: str, high: str) -> str:
    if row.kind is Kind.SIZE:
        sides = f", each side {low} to {high} pixels" if low and high else ""
        return f"width*height{sides}"
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def _choices(row: Parameter) -> tuple[str, ...]:
    if row.choices:
        return tuple(_typed(choice) for choice in row.choices)
    return {Kind.SWITCH: ("true", "false"), Kind.SIZE: _SIZES}.get(row.kind, ())


def _value(row: Parameter, text: str) -> Any:
    """What does not fit its kind stays a text, for the catalogue to say what is wrong with it."""
    if row.choices:
        return next((choice for choice in row.choices if _typed(choice) == text), text)
    if row.kind in (Kind.LIST, Kind.OBJECT, Kind.ANY):
        return _json(row, text)
    if row.kind in (Kind.INTEGER, Kind.NUMBER, Kind.SWITCH):
        return _plain(text.strip())
    return text.strip() if row.kind in (Kind.SIZE, Kind.MEDIA) else text


def _json(row: Parameter, text: str) -> Any:
    try:
        return strict_json.decode(text.encode(), what="what is typed here")
    except InvalidInput as wrong:
        if row.kind is Kind.ANY:
            return text
        example = '["one", "two"]' if row.kind is Kind.LIST else '{"name": "value"}'
        raise InvalidInput(row.name, f"must be JSON, such as {example}", cause=str(wrong)) from None


def _plain(text: str) -> Any:
    value = strict_json.json_or_text(text)
    return value if isinstance(value, (int, float, bool)) else text


def _typed(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
