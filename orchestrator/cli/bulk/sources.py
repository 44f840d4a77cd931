"""What `batch` takes: a JSONL, JSON or CSV file, or a folder of images; each gives lines, again and again.

Files of lines are never in memory as a whole. Line numbers are those of the file, so that what the server
says of line 7 is found in line 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from orchestrator.cli.bulk.folder import find_images, folder_lines, left_out
from orchestrator.cli.bulk.lines import Shared, Urls, with_urls
from orchestrator.cli.bulk.table import csv_lines, strange_columns
from orchestrator.cli.failures import BadSource
from orchestrator.cli.values import LocalFile
from orchestrator.errors import InvalidInput
from orchestrator.flow.bare_lines import array_lines, raw_line

_LONGEST_LINE = 10 * 1024 * 1024
_LARGEST_FILE = 200 * 1024 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Source:
    """Lines without their newlines, given where the files are that go along; `left_out` names what a folder
    holds besides, and `strange` the columns of a table that has no known one.
    """

    path: Path
    files: tuple[Path, ...]
    lines: Callable[[Urls], Iterator[bytes]]
    left_out: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.resolve().name if self.path.is_dir() else self.path.stem


def open_source(path: Path, shared: Shared) -> Source:
    """Raises BadSource, with a sentence, for what cannot be read as one of the four kinds."""
    common = [value.path for value in shared.defaults.values() if isinstance(value, LocalFile)]
    if path.is_dir():
        images = find_images(path)
        _refuse_large((*common, *images))
        lines = partial(folder_lines, images, shared)
        return Source(path, (*common, *images), lines, left_out(path, images))
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadSource(f"{path}: a batch is a .jsonl, .ndjson, .json or .csv file, or a folder of images.")
    is_table = path.suffix.lower() == ".csv"
    strange = strange_columns(path, model=shared.model) if is_table else ()
    _refuse_large(common)
    return Source(path, tuple(common), partial(reader, path, shared), strange=strange)


def _refuse_large(files: Iterable[Path]) -> None:
    """What the server would not pass on is told before anything is sent, as in a trial nothing is."""
    large = next((path for path in files if path.stat().st_size > _LARGEST_FILE), None)
    if large is not None:
        raise BadSource(f"{large} is larger than 200 MB, the most that a file may have.")


def _jsonl(path: Path, shared: Shared, urls: Urls) -> Iterator[bytes]:
    defaults = with_urls(shared.defaults, urls)
    with path.open("rb") as file:
        number = 0
        while text := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(text) > _LONGEST_LINE and not text.endswith(b"\n"):
                _skip_line(file)
                yield text  # enough for the server to see that it is too long
                continue
            text = text.removeprefix(_UTF8_MARK).strip() if number == 1 else text.strip()
            yield raw_line(text, defaults) if text else b""


def _skip_line(file: BinaryIO) -> None:
    while (more := file.readline(_LONGEST_LINE)) and not more.endswith(b"\n"):
        pass


def _json(path: Path, shared: Shared, urls: Urls) -> Iterator[bytes]:
    defaults = with_urls(shared.defaults, urls)
    try:
        yield from array_lines(path.read_bytes().removeprefix(_UTF8_MARK), defaults, what=str(path))
    except InvalidInput as problem:
        raise BadSource(f"{problem}.") from None


def _csv(path: Path, shared: Shared, urls: Urls) -> Iterator[bytes]:
    return csv_lines(path, model=shared.model, defaults=with_urls(shared.defaults, urls))


_READERS: dict[str, Callable[[Path, Shared, Urls], Iterator[bytes]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
}
