"""Checks a request's inputs against one page, and says in plain words what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs

from orchestrator.catalogue.media import is_media
from orchestrator.catalogue.page import Kind, Limits, Page, Parameter
from orchestrator.errors import InvalidInput
from orchestrator.strict_json import encode

_SIZE = re.compile(r"([1-9][0-9]{0,4})\*([1-9][0-9]{0,4})")
_SHOWN = 60
_LONGEST_INTEGER = 2.0**63


class Checker:
    """The compiled checks of one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._required = frozenset(row.name for row in page.parameters if row.required)
        self._values = jsonschema_rs.Draft202012Validator(page.request_schema() | {"required": []})
        self._sizes = tuple(row for row in page.parameters if row.kind is Kind.SIZE)
        self._media = tuple(row for row in page.parameters if row.kind is Kind.MEDIA)
        self._integers = {row.name: row for row in page.parameters if row.kind is Kind.INTEGER}

    def check(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs as they may be sent. Raises InvalidInput for a missing required parameter, or a known
        one of a wrong type or range.

        null is the same as leaving the parameter out, as typed clients send it for every unset option.
        28.0 is an integer, as in JSON Schema, and is sent as 28; true is not. Unknown parameters pass.
        """
        given = inputs
        if None in inputs.values():
            given = {name: value for name, value in inputs.items() if value is not None}
        if not self._required <= given.keys():
            raise self._refusal(given)
        self.check_given(given)
        for name in self._integers:
            if type(inputs.get(name)) is float:
                return self._with_integers(inputs)
        return inputs

    def check_given(self, given: dict[str, Any]) -> None:
        """Raise InvalidInput for what is given alone; null is a value here."""
        if not self._values.is_valid(given):
            raise self._refusal(given)
        for row in self._sizes:
            if row.name in given:
                _check_size(row, given[row.name])
        for row in self._media:
            if row.name in given:
                _check_media(row, given[row.name])

    def _refusal(self, given: dict[str, Any]) -> InvalidInput:
        """The first complaint in the order of the page."""
        row = next(row for row in self.page.parameters if not self._takes(row, given))
        if row.name not in given:
            return InvalidInput(row.name, "is required")
        if row.must_be_filled and given[row.name] == "":
            return InvalidInput(row.name, "must not be empty")
        return InvalidInput(row.name, f"must be {_rule(row)}; got {_shown(given[row.name])}")

    def _takes(self, row: Parameter, given: dict[str, Any]) -> bool:
        """Asked of each parameter alone: the path in a validator's error takes one named "0" for a number."""
        if row.name not in given:
            return not row.required
        return self._values.is_valid({row.name: given[row.name]})

    def _with_integers(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """28.0 as 28: not every reader of JSON takes the one for the other."""
        floats = {name: inputs[name] for name in self._integers if type(inputs.get(name)) is float}
        for name, value in floats.items():
            if abs(value) >= _LONGEST_INTEGER:
                raise InvalidInput(name, f"must be {_rule(self._integers[name])}; got {_shown(value)}")
        return inputs | {name: int(value) for name, value in floats.items()}


def _check_size(row: Parameter, text: str) -> None:
    sides = _SIZE.fullmatch(text)
    if sides is None:
        raise InvalidInput(row.name, f"must be {_rule(row)}; got {_shown(text)}")
    low, high = row.limits
    for side in map(int, sides.groups()):
        if (low is not None and side < low) or (high is not None and side > high):
            rule = f"each side must be {_span(row.limits).removeprefix('from ')} pixels"
            raise InvalidInput(row.name, f"{rule}, such as {_example(row)}; got {text}")


def _check_media(row: Parameter, text: str) -> None:
    # Nothing is the pages' own default of an optional image.
    if text and not is_media(text):
        raise InvalidInput(row.name, f"must be {_rule(row)}; got {_shown(text)}")


def _rule(row: Parameter) -> str:
    if row.choices:
        return "one of " + ", ".join(map(_shown, row.choices))
    match row.kind:
        case Kind.INTEGER | Kind.NUMBER:
            noun = "a whole number" if row.kind is Kind.INTEGER else "a number"
            return noun if row.limits == (None, None) else f"{noun} {_span(row.limits)}"
        case Kind.LIST:
            return "a list" if row.max_items is None else f"a list of at most {row.max_items} items"
        case Kind.SIZE:
            return f"text of the form width*height, such as {_example(row)}"
    return _NOUNS[row.kind]


_NOUNS = {
    Kind.TEXT: "text",
    Kind.SWITCH: "true or false",
    Kind.OBJECT: "an object",
    Kind.MEDIA: "an http(s) URL, a data URI or base64 text",
}


def _span(limits: Limits) -> str:
    low, high = (None if limit is None else f"{limit:.15g}" for limit in limits)
    if low is None:
        return f"of at most {high}"
    return f"of at least {low}" if high is None else f"from {low} to {high}"


def _example(row: Parameter) -> str:
    return str(row.default or "1024*1024")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    if isinstance(value, dict):
        return "an object"
    cut = value[:_SHOWN] if isinstance(value, str) else value
    return encode(cut).decode() + ("…" if cut != value else "")
