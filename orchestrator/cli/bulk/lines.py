"""Lines of a batch: each source's values brought into the one form that the server takes.

A line goes out even when it is wrong, because the server tells about all wrong lines at once and by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import strict_json
from orchestrator.cli.values import LocalFile
from orchestrator.errors import InvalidInput

LINE_KEYS = frozenset(
    {"custom_id", "model", "input", "webhook", "priority", "not_before", "start_by", "finish_by"}
)

Inputs = Mapping[str, Any]
Urls = Mapping[Path, str]
"""Where each local file is for the server."""


@dataclass(frozen=True)
class Shared:
    """What all lines have in common: the model, and inputs for whatever a line leaves out."""

    model: str = ""
    defaults: Inputs = field(default_factory=dict)
    image_field: str = "image"


def raw_line(text: bytes, defaults: Inputs) -> bytes:
    """A line of a JSONL file; what is no JSON object is handed on as it is, for the server to refuse."""
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
    """Told by `input`: an object, or anything at all where every key beside it is a line's own.

    So a model that has a parameter of that name, `{"input": "text", "voice": "alto"}`, gets its inputs.
    """
    return "input" in value and (isinstance(value["input"], dict) or value.keys() <= LINE_KEYS)


def with_urls(inputs: Inputs, urls: Urls) -> dict[str, Any]:
    """The inputs with each local file replaced by where it is."""
    return {
        name: urls[value.path] if isinstance(value, LocalFile) else value for name, value in inputs.items()
    }
