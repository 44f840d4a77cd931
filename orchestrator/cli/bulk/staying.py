"""The second half of a batch, the same for a new one and one that is there: watch it, save it, sum it up."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from orchestrator.cli.bulk.answers import Batch
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.report import summary_view
from orchestrator.cli.bulk.saving import Saved, save_results
from orchestrator.cli.bulk.watching import counting, watch
from orchestrator.cli.failures import INTERRUPTED, CommandFailed
from orchestrator.cli.look import to_stderr
from orchestrator.cli.passing import may_pass


def watched(batches: Batches, batch: Batch, place: Path | None, *, server: str) -> Batch:
    """The batch when it has ended; Ctrl-C leaves it running, and says how to come back."""
    try:
        return watch(batches, batch, to_stderr())
    except KeyboardInterrupt:
        _say(f"The batch goes on without you. {_come_back(batch, place, server)}")
        raise typer.Exit(INTERRUPTED) from None
    except CommandFailed as failure:
        if may_pass(failure):
            _say(f"The batch is safe. {_come_back(batch, place, server)}")
        raise


def _come_back(batch: Batch, place: Path | None, server: str) -> str:
    return f"Come back with: {command_for(batch, '--watch', place=place, server=server)}"


def saved(batches: Batches, batch: Batch, place: Path, *, server: str) -> Saved:
    """What is in the folder then."""
    try:
        with counting(to_stderr(), "Saving", batch.total) as on_line:
            return save_results(batches, batch, place, on_line=on_line)
    except CommandFailed:
        command = command_for(batch, "--out DIR", place=None, server=server)
        _say(f"Batch {batch.id} stays. Save what it made with: {command}")
        raise
    except KeyboardInterrupt:
        _say(f"What is saved stays. Go on with: {command_for(batch, place=place, server=server)}")
        raise typer.Exit(INTERRUPTED) from None


def sum_up(batch: Batch, found: Saved | None, console: Console, *, server: str) -> None:
    """Exits with 1 where anything is missing."""
    console.print(summary_view(batch, found), soft_wrap=False)
    place = found.place if found else None
    if found and found.missing:
        _say(f"Fetch what is missing with: {command_for(batch, place=place, server=server)}")
    if batch.state == "completed" and batch.counts.failed:
        command = command_for(batch, "--retry-failed --watch", place=place, server=server)
        _say(f"Try the failed ones again with: {command}")
    is_whole = batch.state == "completed" and not (batch.counts.failed or batch.rejected_lines)
    if not is_whole or (found and found.missing):
        raise typer.Exit(1)


def command_for(batch: Batch, options: str = "", *, place: Path | None, server: str) -> str:
    """What to type, in one piece."""
    out = f"--out {shlex.quote(str(place))}" if place else ""
    return " ".join(filter(None, ["orchestrator batch", batch.id, options, out])) + server


def _say(sentence: str) -> None:
    to_stderr().print(Text(sentence), soft_wrap=True)
