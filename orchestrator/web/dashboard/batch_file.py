"""A file of people as the text of a batch: JSONL stays, CSV and a JSON array become lines."""

from __future__ import annotations

import io
from collections.abc import Iterator

from orchestrator import strict_json
from orchestrator.errors import InvalidInput
from orchestrator.flow.bare_lines import array_lines, raw_line
from orchestrator.flow.table import table_lines

_NOTHING: dict[str, str] = {}


def lines_of(content: bytes, *, name: str, model: str) -> str:
    """A line for each line of the file. Raises InvalidInput, with a sentence about the file.

    Line numbers stay the file's; a lone carriage return, which a form would send back as a new line,
    becomes a space.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", " ")
    except UnicodeDecodeError:
        raise InvalidInput("file", "is not UTF-8: save it as UTF-8, a table as “CSV UTF-8”") from None
    if not text.strip():
        raise InvalidInput("file", "is empty")
    return b"\n".join(_lines(text, name=name.lower(), model=model)).decode()


def _lines(text: str, *, name: str, model: str) -> Iterator[bytes]:
    try:
        if name.endswith((".csv", ".tsv")):
            for line in table_lines(io.StringIO(text, newline=""), model=model):
                yield b"" if line is None else strict_json.encode(line)
        elif text.lstrip().startswith("["):
            yield from array_lines(text.encode(), _NOTHING, what="the file")
        else:
            for row in text.split("\n"):
                yield raw_line(row.encode(), _NOTHING) if row.strip() else b""
    except InvalidInput as problem:
        raise InvalidInput("file", f"cannot be read: {problem}") from None
