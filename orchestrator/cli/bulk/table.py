"""CSV: the first line names the parameters, each further line is one job, and an empty cell is left out."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, TextIO

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.catalogue.page import Kind
from orchestrator.cli.bulk.lines import Inputs, encode_line
from orchestrator.cli.failures import BadSource
from orchestrator.cli.values import json_or_text

OWN_COLUMNS = ("custom_id", "model", "webhook", "priority")
"""Columns that belong to the line itself; every other one is an input."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_DELIMITERS = (",", ";", "\t")
_LONGEST_CELL = 10 * 1024 * 1024
_TEXTS = (Kind.TEXT, Kind.SIZE, Kind.MEDIA)
_KINDS = {
    (page.model, row.name): row.kind
    for page in Catalogue().pages
    if page.version == "v3"
    for row in page.parameters
}


def read_header(path: Path) -> list[str]:
    """The names of the columns. Raises BadSource where the first line has none."""
    with _opened(path) as (_, header, _rows):
        return header


def csv_lines(path: Path, *, model: str, defaults: Inputs) -> Iterator[bytes]:
    """With blank lines for the header and within a cell's line breaks, so that numbers are the file's."""
    with _opened(path) as (file_lines, header, rows):
        sent = 0
        start = file_lines.line_num + 1
        for row in rows:
            if any(cell.strip() for cell in row):
                yield from repeat(b"", start - 1 - sent)
                sent = start
                yield encode_line(_line(path, header, row, number=start, model=model), defaults)
            start = file_lines.line_num + 1


def typed(text: str, *, model: str, name: str) -> Any:
    """A cell's value: of the kind that the model's page names, else a JSON value where it is one.

    What does not fit its kind stays a text, for the server to say what is wrong with it.
    """
    kind = _KINDS.get((model, name))
    if kind in _TEXTS:
        return text
    value = json_or_text(text.lower() if text.lower() in ("true", "false") else text)
    if kind is Kind.INTEGER and isinstance(value, float) and value.is_integer():
        return int(value)  # a spreadsheet's way to write 28
    return value


def _line(
    path: Path, header: Sequence[str], row: Sequence[str], *, number: int, model: str
) -> dict[str, Any]:
    if len(row) > len(header):
        raise BadSource(
            f"{path}: line {number} has {len(row)} cells, but the first line names {len(header)} columns;"
            ' a text with a comma goes in quotes: "like, this".'
        )
    cells = {name: cell for name, cell in zip(header, row, strict=False) if cell.strip()}
    own = {name: cells.pop(name) for name in OWN_COLUMNS if name in cells}
    model = own.get("model", model)
    line: dict[str, Any] = {**own}
    if "priority" in own:
        line["priority"] = json_or_text(own["priority"])
    line["input"] = {name: typed(cell, model=model, name=name) for name, cell in cells.items()}
    return line


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, list[str], Iterator[list[str]]]]:
    """The csv reader, which counts lines, the header, and the rows below it."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=_delimiter_of(file), strict=True)
            yield rows, _checked_header(path, next(rows, [])), rows
    except UnicodeDecodeError:
        raise BadSource(f"{path} is not UTF-8: save it as “CSV UTF-8”.") from None
    except csv.Error as problem:
        raise BadSource(f"{path}: line {rows.line_num}: {problem}.") from None


def _delimiter_of(file: TextIO) -> str:
    """The one that the first line uses most: spreadsheets of many countries write semicolons."""
    first = file.readline()
    file.seek(0)
    return max(_DELIMITERS, key=first.count)


def _checked_header(path: Path, cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if not any(header):
        raise BadSource(f"{path}: the first line must name the columns, such as: custom_id,prompt,seed")
    for place, name in enumerate(header, start=1):
        if not _NAME.fullmatch(name):
            raise BadSource(
                f"{path}: the first line must name the columns, such as: custom_id,prompt,seed"
                f" (column {place}, {name[:40]!r}, is no name)."
            )
        if name in header[: place - 1]:
            raise BadSource(f"{path}: two columns are named {name!r}.")
    return header
