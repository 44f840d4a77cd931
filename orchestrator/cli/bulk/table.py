"""A CSV file as the lines of a batch; what stands in its cells is read by `flow.table`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from orchestrator.cli.bulk.lines import Inputs
from orchestrator.cli.failures import BadSource
from orchestrator.errors import InvalidInput
from orchestrator.flow import table
from orchestrator.flow.bare_lines import encode_line


def strange_columns(path: Path, *, model: str) -> tuple[str, ...]:
    """What the first line names, where none of it is known: it may be a job of a table without a header.

    Raises BadSource where it names no columns.
    """
    with _opened(path) as file:
        header = table.read_header(file)
    return () if table.is_any_known(header, model=model) else tuple(header)


def csv_lines(path: Path, *, model: str, defaults: Inputs) -> Iterator[bytes]:
    """With blank lines for the header and within a cell's line breaks. Raises BadSource."""
    with _opened(path) as file:
        for line in table.table_lines(file, model=model):
            yield b"" if line is None else encode_line(line, defaults)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except InvalidInput as problem:
        raise BadSource(f"{path}: {problem}.") from None
