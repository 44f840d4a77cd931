"""Brings home what a batch made: every output a file, several at a time, and `results.jsonl` beside them.

Doing it again fetches only what is missing: a file has its name only when it is whole.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import msgspec

from orchestrator.cli.bulk.answers import Batch, Result
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.names import RESULTS, Names, claimed, output_names
from orchestrator.cli.bulk.threads import OnDone, pool
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.passing import may_pass
from orchestrator.cli.save import UNFINISHED, save_output

_AT_A_TIME = 8
_MOST_WAITING = 100
_TRIES = 3
_PAUSE_S = 1.0
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


@dataclass
class Saved:
    """What is in the folder now. `kept` of the files were there before; `missing` says what is not."""

    place: Path
    files: int = 0
    kept: int = 0
    missing: list[str] = field(default_factory=list)


class _Numbered(msgspec.Struct, frozen=True):
    """As much of a result as says where to go on."""

    line: int


@dataclass(frozen=True)
class _Pending:
    """A line of results whose files are on their way."""

    result: dict[str, Any]
    files: list[Future[Path]]


def save_results(batches: Batches, batch: Batch, place: Path, *, on_line: OnDone) -> Saved:
    """Raises CommandFailed where the folder cannot be written; a single lost output is only counted."""
    saved = Saved(place)
    part = place / f"{RESULTS}{UNFINISHED}"
    try:
        with claimed(place, batch):
            with part.open("wb") as file:
                for done, pending in enumerate(_fetched(batches, batch, saved), start=1):
                    _write(file, pending, saved)
                    on_line(done)
            part.replace(place / RESULTS)
    except OSError as error:
        raise CommandFailed(f"{place}: {error.strerror}.") from error
    return saved


def result_lines(batches: Batches, batch_id: str) -> Iterator[bytes]:
    """All of them as JSON, in their order; where the stream breaks off it goes on behind the last line."""
    after = failures = 0
    while True:
        try:
            for text in batches.results(batch_id, form="jsonl", after=after):
                line = msgspec.json.decode(text, type=_Numbered).line
                yield text
                after, failures = line, 0
        except CommandFailed as failure:
            failures += 1
            if failures == _TRIES or not may_pass(failure):
                raise
            time.sleep(failures * _PAUSE_S)
        else:
            return


def _fetched(batches: Batches, batch: Batch, saved: Saved) -> Iterator[_Pending]:
    """Lines in their order, each handed on with some more already begun behind it."""
    names, there = Names(batch.total), _files_in(saved.place)
    waiting: deque[_Pending] = deque()
    with pool(_AT_A_TIME) as threads, httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as http:
        for text in result_lines(batches, batch.id):
            line = msgspec.json.decode(text, type=Result)
            stems = output_names(names.stem(line.line, line.custom_id), line.outputs)
            files = [
                _begin(threads, http, output, saved.place / stem, there.get(stem))
                for stem, output in zip(stems, line.outputs, strict=True)
            ]
            saved.kept += sum(stem in there for stem in stems)
            waiting.append(_Pending(msgspec.json.decode(text), files))
            while len(waiting) > _MOST_WAITING:
                yield waiting.popleft()
        yield from waiting


def _files_in(place: Path) -> dict[str, Path]:
    """What is there already, by its name without the ending."""
    return {path.stem: path for path in place.iterdir() if path.suffix != UNFINISHED}


def _begin(
    threads: ThreadPoolExecutor, http: httpx.Client, output: Any, path: Path, there: Path | None
) -> Future[Path]:
    if there is None:
        return threads.submit(_fetch, output, path, http)
    done: Future[Path] = Future()
    done.set_result(there)
    return done


def _fetch(output: Any, path: Path, http: httpx.Client) -> Path:
    for number in range(1, _TRIES):
        try:
            return save_output(output, path, http)
        except CommandFailed as failure:
            if not _may_pass(failure.__cause__):
                raise
            time.sleep(number * _PAUSE_S)
    return save_output(output, path, http)


def _may_pass(cause: BaseException | None) -> bool:
    """A server that says no will say it again."""
    return not (isinstance(cause, httpx.HTTPStatusError) and cause.response.is_client_error)


def _write(file: BinaryIO, pending: _Pending, saved: Saved) -> None:
    names = []
    for future in pending.files:
        try:
            names.append(future.result().name)
        except CommandFailed as failure:
            saved.missing.append(f"line {pending.result['line']}: {failure}")
    saved.files += len(names)
    file.write(msgspec.json.encode({**pending.result, "files": names}) + b"\n")
