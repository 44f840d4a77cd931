"""The one JSON decoder at every border: it takes less than JSON allows, and names what it refuses.

UTF-8, at most 64 levels deep, no NaN or Infinity, no number out of range, integers within signed 64
bits, no key twice, no NUL and no lone surrogate in any string or key (PostgreSQL can store neither).
"""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import msgspec

from orchestrator.errors import InvalidInput

MAX_DEPTH = 64
_sorted = msgspec.json.Encoder(order="deterministic")
_MIN_INTEGER, _MAX_INTEGER = -(1 << 63), (1 << 63) - 1
_SHOWN_KEY = 40


def decode(body: bytes, *, what: str = "the body") -> Any:
    """The value of a JSON text; `what` names the text in the error's sentence, such as `line 3`.

    Raises InvalidInput, with the path of the offending value where there is one.
    """
    try:
        value = msgspec.json.decode(body)
        # msgspec has refused bad UTF-8, lone surrogates, NaN and raw control characters. Without escapes
        # no NUL can be left, and a key that was given twice shows as quotes that no string accounts for.
        if b"\\" in body or 2 * _count_strings(value, depth=0) != body.count(b'"'):
            _inspect(json.loads(body.decode(), object_pairs_hook=_Pairs), path="", depth=0)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        _name_what_is_wrong(body)
        raise InvalidInput("", f"{what} is not valid JSON: {problem}") from None
    except RecursionError:
        raise InvalidInput("", f"{what} is nested more than {MAX_DEPTH} levels deep") from None
    return value


def decode_object(body: bytes, *, what: str = "the body") -> dict[str, Any]:
    """The same, where only a JSON object will do."""
    value = decode(body, what=what)
    if not isinstance(value, dict):
        raise InvalidInput("", f"{what} must be a JSON object")
    return value


def json_or_text(text: str) -> Any:
    """What the text says in JSON; the text itself where it is no JSON, or says null."""
    try:
        value = decode(text.encode())
    except InvalidInput:
        return text
    return text if value is None else value


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return msgspec.json.encode(value)


def encode_sorted(value: Any) -> bytes:
    """The same with the keys of each object in order, so that equal values are equal texts."""
    return _sorted.encode(value)


_SUSPECT = 1 << 62  # more strings than any body holds: sends the caller to the inspection


def _count_strings(value: Any, *, depth: int) -> int:
    """Strings in the value, keys included; a number beyond all bounds when it needs to be inspected."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is int:
        return 0 if _MIN_INTEGER <= value <= _MAX_INTEGER else _SUSPECT
    if kind is not dict and kind is not list:
        return 0
    if depth == MAX_DEPTH:
        return _SUSPECT
    count, inner = (len(value), value.values()) if kind is dict else (0, value)
    for item in inner:
        # Strings are most of what there is: they are counted here without a call.
        count += 1 if type(item) is str else _count_strings(item, depth=depth + 1)
    return count


def _name_what_is_wrong(body: bytes) -> None:
    """Raises InvalidInput where a value is to blame that a more lenient reader can read."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(body.decode(errors="surrogateescape"), object_pairs_hook=_Pairs)
        try:
            _inspect(value, path="", depth=0)
        except InvalidInput as refusal:
            if refusal.field:
                raise


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object as it was written: its keys in order, repeated ones included."""

    __slots__ = ()


def _inspect(value: Any, *, path: str, depth: int) -> None:
    if isinstance(value, str):
        _refuse_text(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _refusal(path, "must be a number that is not out of range")
    elif isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise _refusal(path, "must fit into 64 bits")
    elif isinstance(value, (_Pairs, list)):
        if depth == MAX_DEPTH:
            raise _refusal(path, f"must not be nested more than {MAX_DEPTH} levels deep")
        _inspect_members(value, path=path, depth=depth + 1)


def _inspect_members(value: _Pairs | list[Any], *, path: str, depth: int) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _inspect(item, path=f"{path}[{index}]", depth=depth)
        return
    seen: set[str] = set()
    for key, item in value:
        _refuse_text(key, path)
        inner = f"{path}.{key[:_SHOWN_KEY]}" if path else key[:_SHOWN_KEY]
        if key in seen:
            raise _refusal(inner, "must be given only once")
        seen.add(key)
        _inspect(item, path=inner, depth=depth)


def _refuse_text(text: str, path: str) -> None:
    if "\0" in text:
        raise _refusal(path, "must not hold a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _refusal(path, "must be valid Unicode, in UTF-8")


def _refusal(path: str, rule: str) -> InvalidInput:
    return InvalidInput(path, rule if path else f"the JSON text {rule}")
