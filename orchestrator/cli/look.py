"""How things look: consoles, colours, times in words, and the tables of jobs.

On a terminal it fits the terminal; piped, nothing is coloured and nothing is cut short.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.answers import Job

_PIPED_WIDTH = 200
_COLOURS = {
    "created": "cyan",
    "processing": "yellow",
    "completed": "green",
    "failed": "red",
}
_STEPS = ((60, "s", 1), (3_600, "min", 60), (86_400, "h", 3_600))


def to_stdout() -> Console:
    return _console(Console(highlight=False))


def to_stderr() -> Console:
    return _console(Console(highlight=False, stderr=True))


def _console(console: Console) -> Console:
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def now_utc() -> datetime:
    return datetime.now(UTC)


def to_time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def age(stamp: str, now: datetime) -> str:
    """`12 s`, `3 min`, `5 h`, `2 d`: how long ago that was."""
    seconds = max(0.0, (now - to_time(stamp)).total_seconds())
    for limit, unit, size in _STEPS:
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def took(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def state_text(status: str) -> Text:
    return Text(status, style=_COLOURS.get(status, ""))


def plain_table(*headers: str, right: Sequence[str] = (), flexible: Sequence[str] = ()) -> Table:
    """Columns without a frame; those named in `flexible` give way when the line is too short."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(
            header,
            justify="right" if header in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=None if header in flexible else len(header),
        )
    return table


def jobs_table(jobs: Sequence[Job], now: datetime) -> Table:
    table = plain_table("ID", "Model", "State", "Took", "Age", right=("Took", "Age"), flexible=("Model",))
    for job in jobs:
        table.add_row(
            job.id,
            short_model(job.model),
            state_text(job.status),
            took(job.seconds),
            age(job.created_at, now),
        )
    return table


def short_model(model: str) -> str:
    """Without the vendor that most have in common, so that what tells them apart stays in sight."""
    return model.removeprefix("wavespeed-ai/")


def dead_letter_text(job: Job, now: datetime) -> Text:
    """Two lines: which job and why, and below it the last error."""
    head = Text(job.id, style="bold")
    head.append(f"  {short_model(job.model)}  ", style="not bold")
    head.append(job.reason, style="not bold red")
    head.append(f"  {age(job.finished_at or job.created_at, now)} ago", style="not bold dim")
    return head.append(f"\n    {job.error or 'no error was told'}", style="not bold")
