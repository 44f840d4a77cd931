"""Stays with a batch until it ends, telling how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from orchestrator.cli.bulk.answers import Batch
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.report import batch_state_text, time_left
from orchestrator.cli.bulk.threads import OnDone
from orchestrator.cli.failures import CommandFailed, Declined
from orchestrator.cli.look import giving_way
from orchestrator.cli.passing import may_pass

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_PATIENCE_S = 60.0
"""How long a server that went away may take to come back; the batch is safe meanwhile."""
_TOLD_EVERY_S = 30.0
_BAR_WIDTH, _LEAST_BAR_WIDTH, _WORDS_WIDTH = 30, 10, 60


OnLook = Callable[[Batch, str], None]
"""Given the batch as it was last seen, and what keeps it from being seen now."""


def watch(batches: Batches, batch: Batch, console: Console) -> Batch:
    """The batch when it has ended."""
    with _shown(console) as show:
        return await_end(batches, batch, on_look=show)


def await_end(batches: Batches, batch: Batch, *, on_look: OnLook) -> Batch:
    """Looks again and again, less often with time; a server that restarts or is busy is waited for."""
    started = heard_at = time.monotonic()
    while True:
        try:
            batch = batches.read(batch.id)
            heard_at, trouble = time.monotonic(), ""
        except CommandFailed as failure:
            if not may_pass(failure) or time.monotonic() - heard_at > _PATIENCE_S:
                raise
            is_there = isinstance(failure, Declined)
            trouble = "the server is busy" if is_there else "the server does not answer, and is looked for"
        on_look(batch, trouble)
        if batch.is_ended:
            return batch
        time.sleep(pause_s(time.monotonic() - started, batch.eta_seconds))


def pause_s(elapsed_s: float, eta_s: float | None) -> float:
    """Twice a second at first; what takes an hour is looked at every five seconds, and its end more often."""
    wanted = min(elapsed_s / 60, _LONGEST_PAUSE_S if eta_s is None else eta_s / 4)
    return min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, wanted))


@contextmanager
def counting(console: Console, label: str, total: int) -> Iterator[OnDone]:
    """A bar that is told how many are done, and is gone at the end; on a terminal only."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(_BAR_WIDTH), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def _shown(console: Console) -> Iterator[OnLook]:
    if not console.is_terminal:
        yield _Teller(console).tell
        return
    bar = BarColumn(min(_BAR_WIDTH, max(_LEAST_BAR_WIDTH, console.width - _WORDS_WIDTH)))
    with Progress(_Told("state"), bar, _Told("words"), console=console, transient=True) as progress:
        task = progress.add_task("", total=None, state=Text(), words=Text())
        yield lambda batch, trouble: progress.update(
            task,
            total=batch.total or None,
            completed=batch.done,
            state=batch_state_text(batch.state),
            words=giving_way(progress_text(batch, trouble).plain),  # a second line would push the bar about
        )


class _Told(ProgressColumn):
    """A text that the last look brought."""

    max_refresh = None

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render(self, task: Task) -> Text:
        text: Text = task.fields[self._name]
        return text


def progress_text(batch: Batch, trouble: str = "") -> Text:
    """`120 of 5,000 · 3 failed · 14.2/s · 6 min left`, and why it waits if it does."""
    if trouble:
        return Text(f"{batch.done:,} of {batch.total:,} · {trouble}")
    parts = [f"{batch.done:,} of {batch.total:,}"]
    if batch.counts.failed:
        parts.append(f"{batch.counts.failed:,} failed")
    if batch.per_second and not batch.is_ended:
        parts.append(f"{batch.per_second:.1f}/s")
    if left := time_left(batch):
        parts.append(left)
    if batch.waiting_for:
        parts.append(f"waits: {batch.waiting_for}")
    return Text(" · ".join(parts))


class _Teller:
    """Where no terminal is: a line at each new state or reason to wait, and now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at = 0.0
        self._said = ("", "", "")

    def tell(self, batch: Batch, trouble: str) -> None:
        is_due = time.monotonic() - self._told_at > _TOLD_EVERY_S
        said = (batch.state, batch.waiting_for, trouble)
        if said == self._said and not is_due:
            return
        self._told_at, self._said = time.monotonic(), said
        self._console.print(Text.assemble(f"{batch.state}: ", progress_text(batch, trouble)))
