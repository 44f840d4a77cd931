"""How things look: consoles, colours, times in words, and the tables of jobs.

On a terminal it fits the terminal; piped, nothing is coloured and nothing is cut short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.segment import Segment
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
# C0, DEL and C1, which some terminals obey, too.
_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code not in b"\n\t"
}
_STEPS = ((60, "s", 1), (3_600, "min", 60), (86_400, "h", 3_600))


def to_stdout() -> Console:
    return _piped_wide(_PlainConsole(highlight=False))


def to_stderr() -> Console:
    return _piped_wide(_PlainConsole(highlight=False, stderr=True))


class _PlainConsole(Console):
    """Whatever it prints, a prompt or a provider's error, cannot steer the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def plain(text: str) -> str:
    """Without escapes: each control character but newline and tab is a replacement character."""
    return text.translate(_CONTROLS)


def _piped_wide(console: Console) -> Console:
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


def jobs_table(jobs: Sequence[Job], now: datetime) -> Table:
    """Where the line is too short, the model gives way and nothing else."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("ID", no_wrap=True)
    table.add_column("Model")
    table.add_column("State", no_wrap=True)
    table.add_column("Took", justify="right", no_wrap=True)
    table.add_column("Age", justify="right", no_wrap=True)
    for job in jobs:
        age_now = age(job.created_at, now)
        table.add_row(
            job.id, giving_way(short_model(job.model)), state_text(job.status), took(job.seconds), age_now
        )
    return table


def giving_way(text: str) -> Text:
    """For a column that is not `no_wrap`: Rich narrows those first, and all alike where there is none."""
    return Text(on_one_line(text), no_wrap=True, overflow="ellipsis")


def on_one_line(text: str) -> str:
    """For a column that is `no_wrap`: a line break in it would look like another row."""
    return text.replace("\n", "\N{REPLACEMENT CHARACTER}")


def short_model(model: str) -> str:
    """Without the vendor that most have in common, so that what tells them apart stays in sight."""
    return model.removeprefix("wavespeed-ai/")


def dead_letter_view(job: Job, now: datetime) -> RenderableType:
    """Two lines or more: which job and why, and below it the last error."""
    head = Text(job.id, style="bold")
    head.append(f"  {job.reason}", style="not bold red")
    head.append(f"  {age(job.finished_at or job.created_at, now)} ago", style="not bold dim")
    error = Text(f"{short_model(job.model)}: {job.error or 'no error was told'}")
    return Group(head, Padding(error, (0, 0, 0, 4), expand=False))
