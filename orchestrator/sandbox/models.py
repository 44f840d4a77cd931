"""The models that the sandbox knows, as their pages describe them, and the check of an input against them.

A field that the page does not list passes, as WaveSpeed lets it pass, and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.sandbox.protocol import Refusal

MODERATED = re.compile(r"\b(nsfw|forbidden)\b", re.IGNORECASE)
SIZE = re.compile(r"^(\d{2,5})\*(\d{2,5})$")

Kind = Literal["string", "number", "integer", "boolean", "array", "size", "choice"]


@dataclass(frozen=True)
class Field:
    """One row of a page's parameter table. For a size the bounds are those of each side, in pixels."""

    name: str
    kind: Kind
    text: str
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    is_required: bool = False


@dataclass(frozen=True)
class Model:
    """A model of one API version. `art` says what its pictures are made of: the prompt alone or an image."""

    id: str
    version: str
    art: Literal["scene", "variation", "edit"]
    text: str
    price: float
    duration_s: float
    fields: tuple[Field, ...]

    def check(self, inputs: dict[str, Any]) -> None:
        """Refuse, with 400, an input that the page does not allow."""
        for field in self.fields:
            value = inputs.get(field.name)
            if value is None:
                if field.is_required:
                    raise Refusal(400, f"missing required parameter: {field.name}")
                continue
            CHECKS[field.kind](field, value)

    def listed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What the page lists, and `check` has therefore checked."""
        return {field.name: inputs[field.name] for field in self.fields if field.name in inputs}

    def is_moderated(self, inputs: dict[str, Any]) -> bool:
        """Whether the safety checker stops this prompt; a client may switch it off."""
        if inputs.get("enable_safety_checker") is False:
            return False
        return MODERATED.search(str(inputs.get("prompt") or "")) is not None

    def cost(self, inputs: dict[str, Any]) -> float:
        """The price in dollars."""
        count = inputs.get("num_images")
        return round(self.price * (count if isinstance(count, int) and count > 0 else 1), 6)


def _wrong(field: Field, wish: str) -> Refusal:
    return Refusal(400, f"invalid parameter {field.name}: {wish}")


def _check_string(field: Field, value: Any) -> None:
    if not isinstance(value, str):
        raise _wrong(field, "must be a string")
    if field.is_required and not value:
        raise Refusal(400, f"missing required parameter: {field.name}")


def _check_boolean(field: Field, value: Any) -> None:
    if not isinstance(value, bool):
        raise _wrong(field, "must be a boolean")


def _check_integer(field: Field, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(field, "must be an integer")
    _check_range(field, value)


def _check_number(field: Field, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(field, "must be a number")
    _check_range(field, value)


def _check_range(field: Field, value: float) -> None:
    if (field.low is not None and value < field.low) or (field.high is not None and value > field.high):
        raise _wrong(field, f"must be between {field.low} and {field.high}")


def _check_array(field: Field, value: Any) -> None:
    if not isinstance(value, list):
        raise _wrong(field, "must be an array")
    if field.high is not None and len(value) > field.high:
        raise _wrong(field, f"at most {field.high} items")


def _check_size(field: Field, value: Any) -> None:
    found = SIZE.match(value) if isinstance(value, str) else None
    if found is None:
        raise _wrong(field, "must look like 1024*1024")
    for side in found.groups():
        _check_range(field, int(side))


def _check_choice(field: Field, value: Any) -> None:
    if value not in field.choices:
        raise _wrong(field, f"must be one of {', '.join(field.choices)}")


CHECKS: dict[Kind, Callable[[Field, Any], None]] = {
    "string": _check_string,
    "boolean": _check_boolean,
    "integer": _check_integer,
    "number": _check_number,
    "array": _check_array,
    "size": _check_size,
    "choice": _check_choice,
}
