"""The words of the catalogue: a page is one model in one API version, a parameter is one row of its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any


class Kind(StrEnum):
    """What a parameter takes."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"
    LIST = "list"
    OBJECT = "object"
    SIZE = "size"
    """`width*height` in pixels; the limits hold for each side."""
    MEDIA = "media"
    """An http(s) URL, a data URI or base64 text."""
    ANY = "any"
    """Not described well enough to be checked."""


_JSON_TYPES = {
    Kind.TEXT: "string",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.SWITCH: "boolean",
    Kind.LIST: "array",
    Kind.OBJECT: "object",
    Kind.SIZE: "string",
    Kind.MEDIA: "string",
}

Limits = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a model. `default` is None where the page names none; `limits` are inclusive.

    A list's default is a tuple, so that the table cannot be changed by a reader of it.
    """

    name: str
    kind: Kind
    description: str = ""
    required: bool = False
    default: Any = None
    limits: Limits = (None, None)
    choices: tuple[Any, ...] = ()
    max_items: int | None = None

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the value. A size shows the limits of its sides, as WaveSpeed's own does."""
        low, high = self.limits
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        facts = {
            "type": _JSON_TYPES.get(self.kind),
            "description": self.description or None,
            "default": default,
            "minimum": low,
            "maximum": high,
            "enum": list(self.choices) or None,
            "minLength": 1 if self.must_be_filled else None,
            "maxItems": self.max_items,
        }
        return {word: fact for word, fact in facts.items() if fact is not None}

    @property
    def must_be_filled(self) -> bool:
        """Whether an empty text is as good as none, as it is to WaveSpeed, but for a page's own default."""
        is_text = self.kind in (Kind.TEXT, Kind.MEDIA) and not self.choices
        return is_text and self.required and self.default != ""

    def implied(self) -> Any:
        """The value that leaving the parameter out stands for; None when there is no such value."""
        if self.default is not None or self.required:
            return self.default
        if self.choices:
            return None  # which of them it is, only the provider knows
        if self.name == "seed":
            return self._random_seed()
        return "" if self.kind in (Kind.TEXT, Kind.MEDIA) else None

    def _random_seed(self) -> int | None:
        """WaveSpeed's word for "random", where the seed may be that."""
        low, _ = self.limits
        is_number = self.kind in (Kind.INTEGER, Kind.NUMBER)
        return -1 if is_number and (low is None or low <= -1) else None


@dataclass(frozen=True)
class Page:
    """One model in one API version.

    `type` is the provider's word, such as `text-to-image`; a price of 0 is an unknown price.
    """

    model: str
    version: str
    name: str
    type: str
    description: str
    parameters: tuple[Parameter, ...]
    base_price: float = 0.0

    def request_schema(self) -> dict[str, Any]:
        """The JSON Schema of the inputs, with the parameters in the order of the page."""
        return {
            "type": "object",
            "properties": {parameter.name: parameter.schema() for parameter in self.parameters},
            "required": [parameter.name for parameter in self.parameters if parameter.required],
            "x-order-properties": [parameter.name for parameter in self.parameters],
        }

    @cached_property
    def implied(self) -> Mapping[str, Any]:
        """What a request that leaves out every optional parameter stands for."""
        values = {row.name: row.implied() for row in self.parameters if not row.required}
        return {name: value for name, value in values.items() if value is not None}

    @cached_property
    def media(self) -> frozenset[str]:
        """The names of the parameters that take media."""
        return frozenset(row.name for row in self.parameters if row.kind is Kind.MEDIA)
