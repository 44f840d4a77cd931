"""A batch that is there: acted on, its results written, watched, saved or shown, as was asked."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.text import Text

from orchestrator.cli.bulk.answers import Batch, Retrying
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.names import place_of
from orchestrator.cli.bulk.report import batch_view
from orchestrator.cli.bulk.staying import saved, sum_up, watched
from orchestrator.cli.client import Client
from orchestrator.cli.failures import BadPlace, CommandFailed
from orchestrator.cli.look import now_utc, to_stderr, to_stdout
from orchestrator.cli.save import UNFINISHED, try_folder

_STDOUT = Path("-")


@dataclass(frozen=True)
class Visit:
    """`verbs` holds one at most: the server's own words for what can be done to a batch."""

    batch_id: str
    verbs: tuple[str, ...]
    fingerprint: str
    results: Path | None = None
    watch: bool = False
    out: Path | None = None


def visit(client: Client, wishes: Visit) -> None:
    """Exits with 1 where a batch that was watched or saved is not all completed."""
    _refuse_contradictions(wishes)
    _refuse_bad_places(wishes)
    batches = Batches(client)
    batch = _acted_on(batches, wishes)
    place = place_of(batch, wishes.out) if wishes.out else None
    if wishes.watch:
        batch = watched(batches, batch, place)
    if wishes.results:
        _write_results(batches, batch, wishes.results)
    if wishes.watch or place:
        sum_up(batch, saved(batches, batch, place) if place else None)
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
    if wishes.results and wishes.results != _STDOUT:
        if wishes.results.is_dir():
            raise BadPlace(wishes.results, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
        try_folder(wishes.results.parent)


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
    """Under the file's name only when it is whole."""
    form = "csv" if path.suffix.lower() == ".csv" else "jsonl"
    lines = batches.results(batch.id, form=form)
    if path == _STDOUT:
        sys.stdout.buffer.writelines(line + b"\n" for line in lines)
        return
    part = path.with_name(path.name + UNFINISHED)
    try:
        with part.open("wb") as file:
            file.writelines(line + b"\n" for line in lines)
        part.replace(path)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}.") from error
    to_stderr().print(Text(f"Wrote {path}."), soft_wrap=True)
