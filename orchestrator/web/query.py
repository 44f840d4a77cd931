"""The values that a request may bring besides its body: one object reads such a value and describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.datastructures import QueryParams
from starlette.requests import Request

from orchestrator.errors import InvalidInput
from orchestrator.flow.schedule import LAST, read_time

# int() refuses thousands of digits with an error of its own.
_LONGEST_NUMBER = 9
# Of a job, a batch or an action; a delivery's goes on behind it.
_ID = re.compile(r"[0-9a-f]{32}(?:-[A-Za-z0-9._-]{1,200})?")
SWITCHES = {"false": False, "0": False, "true": True, "1": True}
_TIME = {"type": "string", "format": "date-time", "examples": ["2026-01-02T03:04:05Z"]}


def read_once(request: Request) -> QueryParams:
    """The query, in which nothing may be given twice. Raises InvalidInput."""
    given = request.query_params
    if len(given.multi_items()) > len(given):
        names = [name for name, _ in given.multi_items()]
        raise InvalidInput(next(name for name in given if names.count(name) > 1), "must be given only once")
    return given


class Parameter(Protocol):
    """What the API description asks of each."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema, as far as the words of a URL can follow one."""


@dataclass(frozen=True)
class Text:
    """Any text; left empty it is none."""

    name: str
    about: str
    format: str = ""

    def read(self, request: Request) -> str | None:
        return request.query_params.get(self.name) or None

    def schema(self) -> dict[str, Any]:
        return {"type": "string"} | ({"format": self.format} if self.format else {})


@dataclass(frozen=True)
class PlaceInList:
    """The id of a row, behind which a listing goes on; left empty it begins at its beginning."""

    name: str
    about: str

    def read(self, request: Request) -> str | None:
        """Raises InvalidInput."""
        given = request.query_params.get(self.name) or None
        if given is not None and _ID.fullmatch(given) is None:
            raise InvalidInput(self.name, "must be the `id` of the last one of the page before")
        return given

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^({_ID.pattern})?$"}


@dataclass(frozen=True)
class Header:
    """A printable ASCII text in a header."""

    name: str
    about: str
    longest: int

    def read(self, request: Request) -> str | None:
        """Raises InvalidInput."""
        given = request.headers.get(self.name)
        if given is not None and (
            not 0 < len(given) <= self.longest or not (given.isascii() and given.isprintable())
        ):
            raise InvalidInput(self.name, f"must be 1 to {self.longest} printable ASCII characters")
        return given

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.longest, "pattern": "^[ -~]+$"}


@dataclass(frozen=True)
class Choice:
    """One of a few words; left empty it is none, or the default."""

    name: str
    about: str
    words: tuple[str, ...]
    default: str | None = None
    is_required: bool = False

    def read(self, request: Request) -> str | None:
        """Raises InvalidInput."""
        given = request.query_params.get(self.name) or self.default
        if given is None and not self.is_required:
            return None
        if given not in self.words:
            raise InvalidInput(self.name, f"must be {' or '.join(self.words)}")
        return given

    def schema(self) -> dict[str, Any]:
        default = {} if self.default is None else {"default": self.default}
        empty = [] if self.is_required else [""]
        return {"type": "string", "enum": [*self.words, *empty], **default}


@dataclass(frozen=True)
class Words:
    """Some of a few words, separated by commas; left empty it is all of them."""

    name: str
    about: str
    words: tuple[str, ...]

    def read(self, request: Request) -> frozenset[str]:
        """Raises InvalidInput."""
        given = [word for word in request.query_params.get(self.name, "").split(",") if word]
        if unknown := sorted(set(given) - set(self.words)):
            raise InvalidInput(self.name, f"knows {', '.join(self.words)}, and not {unknown[0][:50]!r}")
        return frozenset(given or self.words)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "enum": [*self.words, ""]}}


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number."""

    name: str
    about: str
    default: int
    least: int = 1
    most: int

    def read(self, request: Request) -> int:
        """Raises InvalidInput."""
        given = request.query_params.get(self.name, str(self.default))
        is_number = given.isdecimal() and len(given) <= _LONGEST_NUMBER
        if not is_number or not self.least <= int(given) <= self.most:
            raise InvalidInput(self.name, f"must be a whole number from {self.least} to {self.most}")
        return int(given)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most, "default": self.default}


@dataclass(frozen=True)
class Switch:
    """`true` or `1`, `false` or `0`; false when it is left out."""

    name: str
    about: str

    def read(self, request: Request) -> bool:
        """Raises InvalidInput."""
        given = SWITCHES.get(request.query_params.get(self.name, "false"))
        if given is None:
            raise InvalidInput(self.name, "must be true or false")
        return given

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean", "default": False}


@dataclass(frozen=True)
class Time:
    """A time in RFC 3339; read as milliseconds."""

    name: str
    about: str
    is_required: bool = False

    def read(self, request: Request) -> int | None:
        """Raises InvalidInput."""
        return read_time(request.query_params, self.name)

    def must_read(self, request: Request) -> int:
        """Raises InvalidInput, also where it is not given."""
        found = self.read(request)
        if found is None:
            raise InvalidInput(self.name, "must be given")
        return found

    def schema(self) -> dict[str, Any]:
        return dict(_TIME)


IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "Your name for this very request: sent again within 7 days it does nothing twice, and is answered with"
    " what the first one made, as it is now, and `Idempotent-Replayed: true`. Under the same name another"
    " request is a 409; batches have names apart from all else's.",
    longest=255,
)
BEFORE = PlaceInList("before", "The last `id` of the page before.")
SCHEME = Choice(
    "webhook_scheme",
    "How the webhooks are told and signed: `v1` (Standard Webhooks) or `v3` (as WaveSpeed does).",
    ("v1", "v3"),
)


def limit(*, default: int, most: int) -> Whole:
    """How many at a time."""
    return Whole(name="limit", about="How many at most.", default=default, most=most)


def schedule(*, priority: int) -> tuple[Parameter, ...]:
    """When a job may be sent, and when it is too late; `flow.schedule` reads these, from lines as well."""
    return (
        Whole(name="priority", about="0 goes first, 9 last.", default=priority, least=0, most=LAST),
        Time("not_before", "Not sent earlier."),
        Time("start_by", "What is not sent by then fails with the reason `expired`."),
        Time("finish_by", "What has not ended by then fails with the reason `expired`."),
    )
