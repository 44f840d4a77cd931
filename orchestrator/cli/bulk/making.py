"""A new batch from beginning to end: tried out, its files uploaded, sent, watched, saved and summed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.text import Text

from orchestrator.cli.answers import BadLine
from orchestrator.cli.bulk.answers import Batch
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.lines import Urls
from orchestrator.cli.bulk.names import place_of
from orchestrator.cli.bulk.report import (
    bad_lines_view,
    dry_run_view,
    left_out_text,
    rejected_view,
    right_lines,
    strange_text,
)
from orchestrator.cli.bulk.sending import Order, prepare, send
from orchestrator.cli.bulk.sources import Source
from orchestrator.cli.bulk.staying import saved, sum_up, watched
from orchestrator.cli.bulk.uploads import upload_all
from orchestrator.cli.bulk.watching import counting
from orchestrator.cli.client import Client
from orchestrator.cli.failures import INTERRUPTED, BadSource, CommandFailed, Declined, NoAnswer
from orchestrator.cli.look import to_stderr, to_stdout
from orchestrator.cli.passing import may_pass
from orchestrator.cli.save import try_folder
from orchestrator.ids import is_id

_BAD_INPUT = 2
_GO_ON = "What is stored stays: the same command goes on with it."


@dataclass(frozen=True)
class Wishes:
    """`params` are the server's own words for the options of a batch, and `server` is what a command needs
    that is to ask the same one.
    """

    params: Mapping[str, str]
    out: Path | None
    is_trial: bool
    is_new: bool
    is_waited_for: bool
    server: str


def make(client: Client, source: Source, wishes: Wishes) -> None:
    """Exits with 1 where jobs failed or lines were left out, and with 2 for input that the server refuses."""
    batches = Batches(client)
    if source.left_out:
        to_stderr().print(left_out_text(source.left_out), soft_wrap=True)
    if source.strange:
        to_stderr().print(strange_text(source.strange), soft_wrap=True)
    with _refusals_told(wishes.params):
        order = prepare(source, wishes.params, is_new=wishes.is_new, folder=_memories(), server=client.server)
        if wishes.is_trial:
            _try_out(batches, order)
            return
        if wishes.is_waited_for:
            try_folder(wishes.out or Path())
        order.newest.begin()
        with _interruptible(wishes.server):
            batch = _stored(client, batches, order, is_new=wishes.is_new)
    if not wishes.is_waited_for:
        to_stdout().print(batch.id)
        order.newest.finish()
        if batch.rejected_lines:
            raise typer.Exit(1)
        return
    place = place_of(batch, wishes.out)
    batch = watched(batches, batch, place, server=wishes.server)
    found = saved(batches, batch, place, server=wishes.server)
    order.newest.finish()
    sum_up(batch, found, to_stdout(), server=wishes.server)


def _memories() -> Path:
    """What is remembered between two commands."""
    return Path(typer.get_app_dir("orchestrator")) / "uploads"


def _try_out(batches: Batches, order: Order) -> None:
    """Exits with 2 where a line is wrong, as sending it would."""
    report = batches.try_out(order.source.lines(order.stand_ins), order.params)
    to_stdout().print(dry_run_view(report))
    if report.rejected:
        _hint(report.rejected, order.params)
        raise typer.Exit(_BAD_INPUT)


def _stored(client: Client, batches: Batches, order: Order, *, is_new: bool) -> Batch:
    """The batch, with its files uploaded and its lines sent by one command at a time."""
    if not order.digests:
        return _sent(batches, order, {}, is_new=is_new)
    with order.memory.held(
        on_wait=lambda: to_stderr().print("Another command is sending this batch; waiting for it.")
    ):
        return _sent(batches, order, _uploaded(client, batches, order), is_new=is_new)


def _uploaded(client: Client, batches: Batches, order: Order) -> Urls:
    """Where the files are. Before the first one goes up, the server has said that it would take the lines."""
    report = batches.try_out(order.source.lines(order.stand_ins), order.params)
    if report.rejected and (order.params.get("mode") != "partial" or not report.accepted):
        raise Declined(
            f"{right_lines(report)}; nothing was uploaded.",
            status=400,
            errors=report.rejected,
        )
    with counting(to_stderr(), "Uploading", len(set(order.digests.values()))) as on_upload:
        return upload_all(client, order.digests, order.memory, on_upload=on_upload)


def _sent(batches: Batches, order: Order, urls: Urls, *, is_new: bool) -> Batch:
    console = to_stderr()
    with counting(console, "Sending", order.jobs) as on_line:
        created = send(
            batches,
            order,
            urls,
            on_line=on_line,
            tell=lambda sentence: console.print(Text(sentence), soft_wrap=True),
        )
    _tell_sent(created.batch, _sent_before(is_new=is_new) if created.is_replayed else "")
    return created.batch


def _sent_before(*, is_new: bool) -> str:
    """What --again comes upon is a batch that it began and that is not finished."""
    again = "goes on with it until it is finished" if is_new else "would make a new batch"
    return f", sent before; --again {again}"


def _tell_sent(batch: Batch, sent_before: str) -> None:
    words = f"Batch {batch.id}: {batch.total:,} {'job' if batch.total == 1 else 'jobs'}{sent_before}"
    to_stderr().print(Text(words), soft_wrap=True)
    if batch.rejected:
        to_stderr().print(rejected_view(batch))


@contextmanager
def _interruptible(server: str) -> Iterator[None]:
    """Until the batch is stored, the way on is the same command."""
    try:
        yield
    except KeyboardInterrupt:
        to_stderr().print(f"Interrupted. {_GO_ON}")
        raise typer.Exit(INTERRUPTED) from None
    except (NoAnswer, Declined) as failure:
        if may_pass(failure):
            to_stderr().print(_GO_ON)
        elif batch_id := _batch_named_by(failure):
            told = f"Go on with: orchestrator batch {batch_id} --watch{server}"
            to_stderr().print(Text(told), soft_wrap=True)
        raise


def _batch_named_by(failure: CommandFailed) -> str:
    """The batch that was sent with this key before."""
    words = str(failure).split() if isinstance(failure, Declined) and failure.status == 409 else []
    return next((word.rstrip(".") for word in words if is_id(word.rstrip("."))), "")


@contextmanager
def _refusals_told(params: Mapping[str, str]) -> Iterator[None]:
    """Input that the server refuses ends the command with 2, like input that is refused here."""
    try:
        yield
    except Declined as refusal:
        if refusal.status not in (400, 413, 415):
            raise
        if refusal.errors:
            to_stderr().print(Text(str(refusal)), bad_lines_view(refusal.errors), sep="\n")
            _hint(refusal.errors, params)
            raise typer.Exit(_BAD_INPUT) from None
        raise BadSource(str(refusal)) from refusal


def _hint(bad: Sequence[BadLine], params: Mapping[str, str]) -> None:
    """What everybody forgets once."""
    if "model" not in params and any(line.field == "model" for line in bad):
        to_stderr().print(Text("--model names the model for lines that name none."))
