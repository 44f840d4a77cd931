"""The command `watch`: what happens, as it happens, until the job or the batch has ended or Ctrl-C."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from orchestrator.cli.bulk.answers import Batch
from orchestrator.cli.client import Client
from orchestrator.cli.failures import INTERRUPTED
from orchestrator.cli.look import state_text, to_stderr, to_stdout, to_time
from orchestrator.cli.sse import Message, follow_events
from orchestrator.cli.use import Key, Url, connected

_ENDED = ("completed", "failed", "cancelled")
_STATES = ("created", "processing", "completed", "failed")


class Happened(msgspec.Struct, frozen=True):
    """The data of an event; `id` is a job's, or at the end of a batch that batch's."""

    id: str
    status: str
    phase: str
    attempt: int
    because: str
    at: str


def watch(
    *,
    batch: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="Only this batch, until it has ended.")
    ] = "",
    job: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="Only this job, until it has ended.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Watch jobs as they move: all of yours, one batch, or one job from its beginning."""
    if batch and job:
        raise typer.BadParameter("give either a batch or a job", param_hint="--job")
    with connected(url, key) as client:
        view = _JsonLines() if as_json else _View(to_stdout())
        watching = _Watching(client, view, batch=batch, job=job)
        try:
            watching.run()
        except KeyboardInterrupt:
            if batch or job:
                raise typer.Exit(INTERRUPTED) from None
            return  # it has no other end
    if job and watching.last_status == "failed":
        raise typer.Exit(1)


class _Watching:
    """One stream from its beginning to the end of what is watched."""

    def __init__(self, client: Client, view: _View | _JsonLines, *, batch: str, job: str) -> None:
        self._client, self._view = client, view
        self._batch, self._job = batch, job
        self.last_status = ""

    def run(self) -> None:
        path = f"/api/v3/predictions/{quote(self._job, safe='')}/events" if self._job else "/api/v3/events"
        params = {"batch": self._batch} if self._batch else {}
        messages = follow_events(
            self._client, path, params, is_over=self._has_job_ended, on_cut=self._view.tell_cut
        )
        is_first = True
        with self._view.shown():
            for message in messages:
                if is_first and self._batch and self._has_batch_ended():
                    return
                is_first = False
                if message.name and self._tell(message):
                    return

    def _tell(self, message: Message) -> bool:
        """True at the end of the batch that is watched."""
        self._view.tell(message)
        if message.name == "reset":
            return False
        happened = msgspec.json.decode(message.data, type=Happened)
        self.last_status = happened.status
        return bool(self._batch) and happened.id == self._batch

    def _has_job_ended(self) -> bool:
        return bool(self._job) and self.last_status in _ENDED

    def _has_batch_ended(self) -> bool:
        """Asked when the stream is open: an end after that is told by it."""
        found = self._client.ask(Batch, "GET", f"/api/v3/batches/{quote(self._batch, safe='')}")
        if found.is_ended:
            to_stderr().print(f"The batch has ended already: `orchestrator batch {found.id}` shows it.")
        return found.is_ended


class _View:
    """A line for each event and, on a terminal, below them how many jobs are in which state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._open: dict[str, str] = {}
        self._ended: Counter[str] = Counter()

    def shown(self) -> AbstractContextManager[object]:
        if not self._console.is_terminal:
            return nullcontext()
        self._status = self._console.status(self._counts(), spinner="dots")
        return self._status

    def tell(self, message: Message) -> None:
        if message.name == "reset":
            self.tell_cut("the server's database is an older one now")
            return
        happened = msgspec.json.decode(message.data, type=Happened)
        if message.name.startswith("job."):
            self._count(happened)
        self._tell(message.name, happened)
        if self._status is not None:
            self._status.update(self._counts())

    def _tell(self, name: str, happened: Happened) -> None:
        """On a terminal what goes on in a next line stands below the words, not below the time."""
        time, words = _time(happened), _words(name, happened)
        if not self._console.is_terminal:
            self._console.print(Text.assemble(time, words), soft_wrap=True)
            return
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(time, words)
        self._console.print(grid)

    def tell_cut(self, because: str) -> None:
        console = self._console if self._status is not None else to_stderr()
        console.print(Text(f"Cut off ({because.rstrip('.')}); going on from there.", style="dim"))

    def _count(self, happened: Happened) -> None:
        was = self._open.pop(happened.id, None)
        if happened.status in _ENDED:
            self._ended[happened.status] += 1
        else:
            self._open[happened.id] = happened.status
            if was is None and happened.attempt and happened.phase == "ready":
                self._ended["failed"] = max(0, self._ended["failed"] - 1)  # it was redriven

    def _counts(self) -> Text:
        counts = self._ended + Counter(self._open.values())
        told = Text("watching", style="dim")
        for state in _STATES:
            if counts[state]:
                told.append(" · ").append(f"{counts[state]} ").append(state_text(state))
        return told.append(" · Ctrl-C ends it" if not counts else "")


class _JsonLines:
    """What the server says, with the event's name and id."""

    def shown(self) -> AbstractContextManager[object]:
        return nullcontext()

    def tell(self, message: Message) -> None:
        data: dict[str, Any] = msgspec.json.decode(message.data)
        typer.echo(msgspec.json.encode({"event": message.name, "event_id": message.id} | data))

    def tell_cut(self, because: str) -> None:
        to_stderr().print(Text(f"Cut off ({because.rstrip('.')}); going on from there."), soft_wrap=True)


def _time(happened: Happened) -> Text:
    return Text(f"{to_time(happened.at).astimezone():%H:%M:%S}  ", style="dim")


def _words(name: str, happened: Happened) -> Text:
    words = Text(style="dim")
    words.append_text(Text.assemble(state_text(happened.status), style="not dim"))
    words.append(" " * max(1, 12 - len(happened.status)))
    words.append(f"{happened.id}  ", style="not dim")
    if name == "batch.completed":
        return words.append(f"the whole batch: {happened.because}", style="not dim bold")
    phase = happened.phase.replace("_", " ")
    if happened.status != happened.phase:
        words.append(f"{phase}: ", style="not dim")
    return words.append(happened.because)
