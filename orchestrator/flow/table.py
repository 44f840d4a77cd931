"""CSV: the first line names the parameters, each further line is one job, and an empty cell is left out."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, TextIO

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.catalogue.page import Kind
from orchestrator.errors import InvalidInput
from orchestrator.strict_json import json_or_text

OWN_COLUMNS = ("custom_id", "model", "webhook", "priority", "not_before", "start_by", "finish_by")
"""Columns that belong to the line itself; every other one is an input."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_SURPLUS = re.compile(r"cell \d+ of \d+")
_DELIMITERS = (",", ";", "\t")
_LONGEST_CELL = 10 * 1024 * 1024
_AT_THE_END = "unexpected end of data"
"""What csv says of a cell that is still open there."""
_TEXTS = (Kind.TEXT, Kind.SIZE, Kind.MEDIA)
_KINDS = {
    (page.model, row.name): row.kind
    for page in Catalogue().pages
    if page.version == "v3"
    for row in page.parameters
}

_Row = tuple[int, list[str]]


def read_header(file: TextIO) -> list[str]:
    """The names of the columns. Raises InvalidInput where the first line has none."""
    with _opened(file) as (header, _):
        return header


def table_lines(file: TextIO, *, model: str) -> Iterator[dict[str, Any] | None]:
    """Lines of a batch. None stands for the header and for lines that a cell goes on in, so that numbers
    are the file's. Raises InvalidInput, with a sentence that names the line.
    """
    with _opened(file) as (header, rows):
        sent = 0
        for start, row in rows:
            if any(cell.strip() for cell in row):
                yield from repeat(None, start - 1 - sent)
                sent = start
                yield _line(header, row, model=model)


def is_any_known(header: Sequence[str], *, model: str) -> bool:
    """Whether a column is a line's own, or an input of the model: of any, where that has no page."""
    inputs = {name for of, name in _KINDS if of == model} or {name for _, name in _KINDS}
    return not inputs.union(OWN_COLUMNS).isdisjoint(header)


def is_surplus(field: str) -> bool:
    """Whether this key of a line stands for a cell that no column is for."""
    return _SURPLUS.fullmatch(field) is not None


def is_text(model: str, name: str) -> bool:
    """Whether the model's page calls this parameter a text, which may look like anything."""
    return _KINDS.get((model, name)) in _TEXTS


def typed(text: str, *, model: str, name: str) -> Any:
    """A cell's value: of the kind that the model's page names, else a JSON value where it is one.

    What does not fit its kind stays a text, for the server to say what is wrong with it.
    """
    if is_text(model, name):
        return text
    value = json_or_text(text.lower() if text.lower() in ("true", "false") else text)
    if _KINDS.get((model, name)) is Kind.INTEGER and isinstance(value, float) and value.is_integer():
        return int(value)  # a spreadsheet's way to write 28
    return value


def _line(header: Sequence[str], row: Sequence[str], *, model: str) -> dict[str, Any]:
    """A cell beyond the columns stays as a key that no line has, to be refused at like all wrong lines."""
    cells = {name: cell for name, cell in zip(header, row, strict=False) if cell.strip()}
    own = {name: cells.pop(name) for name in OWN_COLUMNS if name in cells}
    model = own.get("model", model)
    line: dict[str, Any] = {**own}
    if "priority" in own:
        line["priority"] = json_or_text(own["priority"])
    line["input"] = {name: typed(cell, model=model, name=name) for name, cell in cells.items()}
    surplus = enumerate(row[len(header) :], start=len(header) + 1)
    return line | {f"cell {place} of {len(header)}": cell for place, cell in surplus}


@contextmanager
def _opened(file: TextIO) -> Iterator[tuple[list[str], Iterator[_Row]]]:
    """The header, and the rows below it."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = _rows(file)
        _, header = next(rows, (1, []))
        yield _checked_header(header), rows
    except UnicodeDecodeError:
        raise InvalidInput("", "it is not UTF-8: save it as “CSV UTF-8”") from None


def _rows(file: TextIO) -> Iterator[_Row]:
    """Each with the line that it begins in: a quote that is never closed goes on to the end of the file."""
    rows = csv.reader(file, delimiter=_delimiter_of(file), strict=True)
    start = 1
    try:
        for row in rows:
            yield start, row
            start = rows.line_num + 1
    except csv.Error as problem:
        if str(problem) == _AT_THE_END:
            raise InvalidInput("", f"line {start}: a quote is never closed") from None
        where = f"line {start}" if start == rows.line_num else f"lines {start} to {rows.line_num}"
        raise InvalidInput("", f"{where}: {problem}") from None


def _delimiter_of(file: TextIO) -> str:
    """The one that the first line uses most: spreadsheets of many countries write semicolons."""
    first = file.readline()
    file.seek(0)
    return max(_DELIMITERS, key=first.count)


def _checked_header(cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    must = "the first line must name the columns, such as: custom_id,prompt,seed"
    if not any(header):
        raise InvalidInput("", must)
    for place, name in enumerate(header, start=1):
        if not _NAME.fullmatch(name):
            raise InvalidInput("", f"{must} (column {place}, {name[:40]!r}, is no name)")
        if name in header[: place - 1]:
            raise InvalidInput("", f"two columns are named {name!r}")
    return header
