"""Reads the small JSON bodies of administration into structs; what does not fit is refused by its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from orchestrator import strict_json
from orchestrator.errors import InvalidInput
from orchestrator.web.wire import read_body

T = TypeVar("T", bound=msgspec.Struct)

_LIMIT = 64 * 1024
_SHOWN = 80
_EXACT = 2.0**53
_PATH = re.compile(r"^(?P<rule>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?P<rule>missing required|contains unknown) field `(?P<field>[^`]*)`")
_RULES = {"missing required": "must be given", "contains unknown": "is not known here"}


async def read_fields(request: Request, kind: type[T]) -> T:
    """The body as this kind, which forbids unknown fields; no body is an empty one. Raises InvalidInput."""
    return (await read_with_body(request, kind))[0]


async def read_with_body(request: Request, kind: type[T]) -> tuple[T, bytes]:
    """The same, and the body itself, for whoever compares it with an earlier one."""
    body = await read_body(request, limit=_LIMIT)
    given = strict_json.decode_object(body) if body.strip() else {}
    return to_fields(given, kind), body


def to_fields(given: Mapping[str, Any], kind: type[T], *, strict: bool = True) -> T:
    """What is given as this kind; a form's texts are numbers too where not `strict`. Raises InvalidInput."""
    try:
        whole = {name: _whole(value) for name, value in given.items()}
        return msgspec.convert(whole, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None


def _whole(value: Any) -> Any:
    """To JSON 36.0 is a whole number; beyond 2**53 not every one is a float."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
    return int(value) if is_whole else value


def _refusal(message: str) -> InvalidInput:
    """msgspec says `Expected … - at `$.seconds``, or names an unknown or missing field."""
    found = _PATH.match(message)
    rule, path = (found["rule"], found["path"] or "") if found else (message, "")
    if named := _NAMED.search(rule):
        path = f"{path}.{named['field']}" if path else named["field"]
        rule = _RULES[named["rule"]]
    return InvalidInput(path[:_SHOWN], rule[:1].lower() + rule[1:])
