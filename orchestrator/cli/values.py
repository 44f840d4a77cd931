"""Inputs of a model as they are typed: `name=value`, where `@path` names a file to upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from orchestrator.flow.table import is_text
from orchestrator.strict_json import json_or_text


@dataclass(frozen=True)
class LocalFile:
    """A value that has to be uploaded first; the model gets its URL."""

    path: Path


def parse_inputs(given: Sequence[str], *, model: str) -> dict[str, Any]:
    """`["steps=28", "image=@boat.png"]` → `{"steps": 28, "image": LocalFile(…)}`; what the model's page calls
    a text is one, whatever it looks like. They are sorted: the order they were typed in makes no other batch.

    Raises BadParameter for a pair without a name, a name given twice, and a file that is not there.
    """
    inputs: dict[str, Any] = {}
    for pair in given:
        name, has_value, value = pair.partition("=")
        if not has_value or not name:
            raise _wrong(f"{pair!r} is not of the form name=value")
        if name in inputs:
            raise _wrong(f"{name!r} is given twice")
        inputs[name] = parse_value(value)
        if is_text(model, name) and not isinstance(inputs[name], str | LocalFile):
            inputs[name] = value
    return dict(sorted(inputs.items()))


def parse_value(text: str) -> Any:
    """A number, true, false, a list or an object where the text is one in JSON; else the text itself.

    A JSON string stands for what is in its quotes, so that `"42"` or `"@home"` can be said as a text.
    """
    return _file(text) if text.startswith("@") else json_or_text(text)


def parse_place(text: str) -> Path:
    """Raises BadParameter for nothing, as a variable is that was never set: that is no folder to write in."""
    if not text:
        raise typer.BadParameter("is empty")
    return Path(text)


def to_path(text: str) -> Path:
    """`~` is the home directory, and `~name` that of somebody who is known here."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_utf8(text: str) -> bool:
    """Whether this argument or file's name came as UTF-8: of other bytes Python makes half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file(text: str) -> LocalFile:
    path = to_path(text[1:])
    if not path.is_file():
        raise _wrong(
            f"there is no file {text[1:]!r} (a text that starts with @ goes in quotes: '\"{text}\"')"
        )
    return LocalFile(path)


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="-p")
