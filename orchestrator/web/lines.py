"""The lines of a request's body: JSONL as it streams in or in a form, or one JSON document of them all."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request

from orchestrator import strict_json
from orchestrator.errors import InvalidInput, TooLarge
from orchestrator.flow.lines import LONGEST_LINE
from orchestrator.web.wire import read_body, refuse_encoded

BODY_LIMIT = 200 * 1024 * 1024
_AT_A_TIME = 1_000
_AS_JSONL = "JSONL goes under another Content-Type, such as application/x-ndjson"
Piece = Sequence[tuple[int, bytes]]


class StreamedLines:
    """JSONL: memory holds what one read of the socket brought, and the line that it broke off in.

    Of a line that is too long it holds no more than shows that.
    """

    def __init__(self, request: Request) -> None:
        refuse_encoded(request)
        self._request = request
        self._hash = hashlib.sha256()

    async def pieces(self) -> AsyncIterator[Piece]:
        """Blank lines are left out, and counted in the numbers of the others."""
        rest, number, size = b"", 0, 0
        async for chunk in self._request.stream():
            size += len(chunk)
            if size > BODY_LIMIT:
                raise TooLarge("The body is larger than 200 MB.")
            self._hash.update(chunk)
            if len(rest) > LONGEST_LINE and b"\n" not in chunk:
                continue
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[: LONGEST_LINE + 1]
            if lines:
                yield _numbered(lines, number)
                number += len(lines)
        yield _numbered([rest], number)

    def digest(self) -> str:
        return self._hash.hexdigest()


class ListedLines:
    """A JSON document read already: its items count as lines."""

    def __init__(self, body: bytes, items: Sequence[bytes]) -> None:
        self._body = body
        self._items = items

    async def pieces(self) -> AsyncIterator[Piece]:
        yield [(number, item) for number, item in enumerate(self._items, start=1)]

    def digest(self) -> str:
        return hashlib.sha256(self._body).hexdigest()


class TextLines:
    """JSONL that is here as a whole, such as a form's."""

    def __init__(self, text: str) -> None:
        self._body = text.encode()

    async def pieces(self) -> AsyncIterator[Piece]:
        """Blank lines are left out, and counted in the numbers of the others."""
        lines = self._body.split(b"\n")
        for before in range(0, len(lines), _AT_A_TIME):
            yield _numbered(lines[before : before + _AT_A_TIME], before)

    def digest(self) -> str:
        return hashlib.sha256(self._body).hexdigest()


async def read_document(request: Request) -> tuple[ListedLines, dict[str, Any]]:
    """The inputs of a JSON document, and what else it says: `{…, "inputs": […]}`, or the array alone."""
    try:
        body = await read_body(request)
    except TooLarge as too_large:
        raise TooLarge(f"{too_large} {_AS_JSONL}, and may have 200 MB.") from None
    try:
        text = body.removeprefix(codecs.BOM_UTF8)
        document = msgspec.json.decode(text, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
        if isinstance(document, list):
            return ListedLines(body, [bytes(item) for item in document]), {}
        _refuse_twice(text, document)
        inputs = msgspec.json.decode(document.pop("inputs", msgspec.Raw(b"null")), type=list[msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidInput("inputs", "must be an array of inputs") from None
    except RecursionError:
        raise InvalidInput("", f"the body is nested more than {strict_json.MAX_DEPTH} levels deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise InvalidInput("", f"the body is not valid JSON: {problem}; {_AS_JSONL}") from None
    rest = {name: strict_json.decode(bytes(raw), what=name) for name, raw in document.items()}
    return ListedLines(body, [bytes(item) for item in inputs]), rest


def _refuse_twice(text: bytes, document: Mapping[str, msgspec.Raw]) -> None:
    """A key that was given twice shows as quotes that neither the keys nor the values account for."""
    quotes = 2 * len(document) + sum(bytes(raw).count(b'"') for raw in document.values())
    if quotes != text.count(b'"'):
        strict_json.decode(text)


def _numbered(lines: Sequence[bytes], before: int) -> Piece:
    """Without the mark that some programs begin a file with."""
    if before == 0:
        lines = [lines[0].removeprefix(codecs.BOM_UTF8), *lines[1:]]
    return [
        (before + place, line) for place, line in enumerate(lines, start=1) if line and not line.isspace()
    ]
