"""How batches look: one batch, a list of them, wrong lines, and what a run came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.answers import BadLine
from orchestrator.cli.bulk.answers import Batch, Counts, DryRun, Failure
from orchestrator.cli.bulk.names import RESULTS
from orchestrator.cli.bulk.saving import Saved
from orchestrator.cli.look import age, giving_way, on_one_line

MOST_LINES = 20
_MOST_MISSING = 5
_BAR_WIDTH = 16
_COLOURS = {
    "receiving": "cyan",
    "running": "yellow",
    "paused": "magenta",
    "cancelling": "red",
    "completed": "green",
    "cancelled": "red",
}
_STEPS = ((90, "s", 1), (5_400, "min", 60), (129_600, "h", 3_600))


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `5 h`, `3 d`."""
    for limit, unit, size in _STEPS:
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def time_left(batch: Batch) -> str:
    """Empty where nobody can say, which is also what a server means that has not seen any job end yet."""
    eta_s = batch.eta_seconds or 0
    return "" if batch.is_ended or eta_s < 1 else f"{duration(eta_s)} left"


def batch_state_text(state: str) -> Text:
    return Text(state, style=_COLOURS.get(state, ""))


def batches_table(batches: Sequence[Batch], now: datetime) -> Table:
    """Where the line is too short, the name gives way and nothing else."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("ID", no_wrap=True)
    table.add_column("Name")
    table.add_column("State", no_wrap=True)
    table.add_column("Done", justify="right", no_wrap=True)
    table.add_column("Failed", justify="right", no_wrap=True)
    table.add_column("Total", justify="right", no_wrap=True)
    table.add_column("Age", justify="right", no_wrap=True)
    for batch in batches:
        table.add_row(
            batch.id,
            giving_way(batch.name),
            batch_state_text(batch.state),
            percent(batch),
            _failed_text(batch.counts),
            f"{batch.total:,}",
            age(batch.created_at, now),
        )
    return table


def percent(batch: Batch) -> str:
    """Rounded down: 100 % is said of what is over."""
    return f"{int(batch.progress * 100)} %"


def batch_view(batch: Batch, now: datetime) -> RenderableType:
    """One batch: its facts, how far it is, and what its failures have in common."""
    grid = _grid()
    grid.add_row("Batch", Text(batch.id, style="bold"))
    if batch.name:
        grid.add_row("Name", Text(batch.name))
    if batch.model:
        grid.add_row("Model", Text(batch.model))
    grid.add_row("State", _state(batch))
    if batch.waiting_for:
        grid.add_row("Waits", Text(batch.waiting_for, style="red"))
    grid.add_row("Created", f"{batch.created_at}, {age(batch.created_at, now)} ago")
    grid.add_row("Progress", _progress(batch))
    grid.add_row("Jobs", _counts_text(batch))
    return Group(grid, *_failures_part(batch.failures))


def failures_table(failures: Sequence[Failure]) -> Table:
    """One row for all that failed alike; the fingerprint is what `--fingerprint` takes."""
    table = _table()
    table.add_column("Jobs", justify="right", no_wrap=True)
    table.add_column("Reason", no_wrap=True, style="red")
    table.add_column("Message", overflow="fold")
    table.add_column("Fingerprint", no_wrap=True, style="dim")
    for failure in failures:
        table.add_row(f"{failure.count:,}", failure.reason, Text(failure.message), failure.fingerprint)
    return table


def bad_lines_view(bad: Sequence[BadLine]) -> RenderableType:
    """The first of them in a table, and how many more there are."""
    table = _table()
    table.add_column("Line", justify="right", no_wrap=True)
    if any(line.custom_id for line in bad[:MOST_LINES]):
        table.add_column("custom_id", overflow="ellipsis", no_wrap=True, max_width=24)
    table.add_column("Field", no_wrap=True, style="cyan")
    table.add_column("What is wrong", overflow="fold")
    for line in bad[:MOST_LINES]:
        own = [Text(on_one_line(line.custom_id or ""))] if len(table.columns) == 4 else []
        table.add_row(str(line.line), *own, Text(on_one_line(line.field or "")), Text(line.message))
    rest = len(bad) - MOST_LINES
    return Group(table, Text(f"… and {rest:,} more.", style="dim")) if rest > 0 else table


def left_out_text(names: Sequence[str]) -> Text:
    """What of a folder was not sent, so that nobody misses it later."""
    return Text(f"No images, and left out: {_some_of(names)}.")


def strange_text(names: Sequence[str]) -> Text:
    """For a table whose first line may be a job: as names of columns it would be lost without a word."""
    return Text(
        f"The first line is taken for the names of the columns, and none is known: {_some_of(names)}."
    )


def _some_of(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_MISSING
    return ", ".join(names[:_MOST_MISSING]) + (f" and {rest:,} more" if rest > 0 else "")


def dry_run_view(report: DryRun) -> RenderableType:
    right = Text(f"{right_lines(report)}; nothing was stored.")
    return Group(right, Text(), bad_lines_view(report.rejected)) if report.rejected else right


def right_lines(report: DryRun) -> str:
    """`3 of 5 lines are right`."""
    verb = "is" if 1 in (report.accepted, report.total) else "are"
    noun = "line" if report.total == 1 else "lines"
    return f"{report.accepted:,} of {report.total:,} {noun} {verb} right"


def summary_view(batch: Batch, saved: Saved | None) -> RenderableType:
    """What a batch came to, where its outputs are, and what to type next."""
    grid = _grid()
    grid.add_row("Batch", Text(batch.id, style="bold"))
    grid.add_row("State", _state(batch))
    grid.add_row("Jobs", _counts_text(batch))
    if saved:
        grid.add_row("Saved", Text(_saved_words(saved)))
        grid.add_row("Results", Text(str(saved.place / RESULTS)))
        for sentence in saved.missing[:_MOST_MISSING]:
            grid.add_row("Not saved", Text(sentence, style="red"))
        if (rest := len(saved.missing) - _MOST_MISSING) > 0:
            grid.add_row("", Text(f"and {rest:,} more", style="red"))
    return Group(grid, *_failures_part(batch.failures))


def rejected_view(batch: Batch) -> RenderableType:
    """The lines that a partial batch went without."""
    return Group(Text(f"{_rejected(len(batch.rejected))}:", style="red"), bad_lines_view(batch.rejected))


def _rejected(count: int) -> str:
    return f"{count:,} {'line was' if count == 1 else 'lines were'} rejected"


def _saved_words(saved: Saved) -> str:
    files = f"{saved.files:,} {'file' if saved.files == 1 else 'files'} in {saved.place}"
    return f"{files} ({saved.kept:,} were there before)" if saved.kept else files


def _failures_part(failures: Sequence[Failure]) -> Iterator[RenderableType]:
    if failures:
        yield Text()
        yield failures_table(failures)


def _state(batch: Batch) -> Text:
    if batch.state == "completed" and 0 < batch.counts.failed == batch.total:
        return Text(
            "completed, but all jobs failed" if batch.total > 1 else "completed, but its job failed", "red"
        )
    text = batch_state_text(batch.state)
    if batch.per_second and not batch.is_ended:
        text.append(f", {batch.per_second:.1f} a second", style="default")
    if left := time_left(batch):
        text.append(f", {left}", style="default")
    return text


def _progress(batch: Batch) -> Table:
    row = Table.grid(padding=(0, 1, 0, 0))
    bar = ProgressBar(total=1.0, completed=batch.progress, width=_BAR_WIDTH)
    row.add_row(bar, f"{percent(batch)} of {batch.total:,}")
    return row


def _counts_text(batch: Batch) -> Text:
    counts = batch.counts
    text = Text(f"{counts.completed:,} completed")
    if counts.failed:
        text.append(", ").append(f"{counts.failed:,} failed", style="red")
    if counts.processing:
        text.append(f", {counts.processing:,} in work")
    if counts.created:
        text.append(f", {counts.created:,} waiting")
    if batch.rejected_lines:
        text.append("; ").append(_rejected(batch.rejected_lines), style="red")
    return text


def _failed_text(counts: Counts) -> Text:
    return Text(f"{counts.failed:,}", style="red" if counts.failed else "dim")


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
