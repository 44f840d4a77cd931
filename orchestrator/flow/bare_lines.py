"""Lines of people's files brought into the one form of a batch: whole lines stay, bare inputs are wrapped.

A line goes on even when it is wrong, because all wrong lines are told at once and by number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from orchestrator import strict_json
from orchestrator.errors import InvalidInput
from orchestrator.flow.schedule import FIELDS

KEYS = frozenset({"custom_id", "model", "input", "webhook", *FIELDS})
"""What a line has."""
_BESIDE_INPUT = KEYS - {"input"}

Inputs = Mapping[str, Any]


def raw_line(text: bytes, defaults: Inputs) -> bytes:
    """A line of a JSONL file: whole lines stay whole, bare inputs are wrapped, and what is no JSON object is
    handed on as it is, to be refused later.
    """
    try:
        value = strict_json.decode(text)
    except InvalidInput:
        return text
    if not isinstance(value, dict):
        return strict_json.encode(value)
    line = value if is_whole(value) else {"input": value}
    return encode_line(line, defaults)


def array_lines(text: bytes, defaults: Inputs, *, what: str) -> Iterator[bytes]:
    """The items of a JSON array, each like a line of a JSONL file. Raises InvalidInput where it is none."""
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        example = '[{"prompt": "a lighthouse"}]'
        raise InvalidInput("", f"{what} must hold a JSON array of inputs, such as {example}") from None
    except RecursionError:
        raise InvalidInput("", f"{what} is nested more than {strict_json.MAX_DEPTH} levels deep") from None
    except msgspec.DecodeError as problem:
        raise InvalidInput("", f"{what} is not valid JSON: {problem}") from None
    for item in items:
        yield raw_line(bytes(item).replace(b"\n", b" "), defaults)  # none of them is within a text


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
