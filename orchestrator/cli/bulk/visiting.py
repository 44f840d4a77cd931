"""A batch that is there: acted on, its results written, watched, saved or shown, as was asked."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer
from rich.text import Text

from orchestrator.cli.bulk.answers import Batch, Retrying
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.names import place_of
from orchestrator.cli.bulk.report import batch_view
from orchestrator.cli.bulk.saving import result_lines
from orchestrator.cli.bulk.staying import saved, sum_up, watched
from orchestrator.cli.client import Client
from orchestrator.cli.failures import BadPlace, CommandFailed
from orchestrator.cli.look import now_utc, to_stderr, to_stdout
from orchestrator.cli.save import UNFINISHED, try_folder

_STDOUT = Path("-")


@dataclass(frozen=True)
class Visit:
    """`verbs` holds one at most: the server's own words for what can be done to a batch. `server` is what a
    command needs that is to ask the same one.
    """

    batch_id: str
    verbs: tuple[str, ...]
    fingerprint: str
    results: Path | None = None
    watch: bool = False
    out: Path | None = None
    server: str = ""


def visit(client: Client, wishes: Visit) -> None:
    """Exits with 1 where a batch that was watched or saved is not all completed."""
    _refuse_contradictions(wishes)
    _refuse_bad_places(wishes)
    batches = Batches(client)
    batch = _acted_on(batches, wishes)
    place = place_of(batch, wishes.out) if wishes.out else None
    if wishes.watch:
        batch = watched(batches, batch, place, server=wishes.server)
    if wishes.results:
        _write_results(batches, batch, wishes.results)
    if wishes.watch or place:
        found = saved(batches, batch, place, server=wishes.server) if place else None
        console = to_stderr() if wishes.results == _STDOUT else to_stdout()
        sum_up(batch, found, console, server=wishes.server)
    elif not wishes.results:
        to_stdout().print(batch_view(batch, now_utc()))


def _refuse_contradictions(wishes: Visit) -> None:
    if len(wishes.verbs) > 1:
        both = " and ".join(f"--{verb}" for verb in wishes.verbs)
        raise typer.BadParameter(f"{both} cannot be done at once")
    if wishes.fingerprint and wishes.verbs != ("retry-failed",):
        raise typer.BadParameter("goes with --retry-failed", param_hint="--fingerprint")


def _refuse_bad_places(wishes: Visit) -> None:
    """Before anything is done. Raises BadPlace."""
    if wishes.out:
        try_folder(wishes.out)
    if wishes.results == _STDOUT and sys.stdout is None:
        raise BadPlace(_STDOUT, OSError(errno.EBADF, os.strerror(errno.EBADF)))
    if wishes.results and wishes.results != _STDOUT:
        if wishes.results.is_dir():
            raise BadPlace(wishes.results, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
        if not _is_stream(wishes.results):
            try_folder(_target(wishes.results).parent)


def _acted_on(batches: Batches, wishes: Visit) -> Batch:
    match wishes.verbs:
        case ("retry-failed",):
            retried = batches.retry_failed(wishes.batch_id, fingerprint=wishes.fingerprint)
            _tell_retried(retried)
            return retried
        case (verb,):
            return batches.act(wishes.batch_id, verb)
    return batches.read(wishes.batch_id)


def _tell_retried(batch: Retrying) -> None:
    words = f"{batch.retrying:,} {'job gets' if batch.retrying == 1 else 'jobs get'} another try."
    to_stderr().print(Text(words))


def _write_results(batches: Batches, batch: Batch, path: Path) -> None:
    is_table = path.suffix.lower() == ".csv"
    lines = batches.results(batch.id, form="csv") if is_table else result_lines(batches, batch.id)
    if path == _STDOUT:
        _write(sys.stdout.buffer, lines)
        return
    try:
        if _is_stream(path):
            with path.open("wb") as stream:
                _write(stream, lines)
        else:
            _write_whole(_target(path), lines)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}.") from error
    to_stderr().print(Text(f"Wrote {path}."), soft_wrap=True)


def _is_stream(path: Path) -> bool:
    """A pipe or a device: what is written there is taken at once, and it must not be put aside for a file."""
    return path.exists() and not path.is_file()


def _target(path: Path) -> Path:
    """The file itself, where a link leads to it."""
    return Path(os.path.realpath(path))


def _write_whole(path: Path, lines: Iterable[bytes]) -> None:
    """Under the file's name only when it is whole."""
    part = path.with_name(path.name + UNFINISHED)
    try:
        with part.open("wb") as file:
            _write(file, lines)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(file: BinaryIO, lines: Iterable[bytes]) -> None:
    file.writelines(line + b"\n" for line in lines)
