"""Lines of people's files brought into the one form of a batch: whole lines stay, bare inputs are wrapped.

A line goes on even when it is wrong, because all wrong lines are told at once and by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator import strict_json
from orchestrator.errors import InvalidInput
from orchestrator.flow.schedule import FIELDS

KEYS = frozenset({"custom_id", "model", "input", "webhook", *FIELDS})
"""What a line has."""
_BESIDE_INPUT = KEYS - {"input"}

Inputs = Mapping[str, Any]


def raw_line(text: bytes, defaults: Inputs) -> bytes:
    """A line of a JSONL file; what is no JSON object is handed on as it is, to be refused later."""
    try:
        value = strict_json.decode(text)
    except InvalidInput:
        return text
    return value_line(value, defaults)


def value_line(value: Any, defaults: Inputs) -> bytes:
    """A JSON value: whole lines stay whole, and bare inputs are wrapped."""
    if not isinstance(value, dict):
        return strict_json.encode(value)
    line = value if is_whole(value) else {"input": value}
    return encode_line(line, defaults)


def encode_line(line: Mapping[str, Any], defaults: Inputs) -> bytes:
    """With the defaults for whatever the line's own inputs leave out."""
    inputs = line.get("input")
    if not defaults or not isinstance(inputs, dict):
        return strict_json.encode(line)
    return strict_json.encode({**line, "input": {**defaults, **inputs}})


def is_whole(value: Mapping[str, Any]) -> bool:
    """Told by `input`, an object or alone, or by any other key of a line: where inputs stand beside that, the
    line is to be refused, and what it asks for is not lost among them.

    So a model that has a parameter of that name, `{"input": "text", "voice": "alto"}`, gets its inputs.
    """
    is_told = isinstance(value.get("input"), dict) or value.keys() == {"input"}
    return is_told or not _BESIDE_INPUT.isdisjoint(value)
