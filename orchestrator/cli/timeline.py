"""One job in full: its facts, and everything that happened to it in the order of time."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.cli.answers import Attempt, Callback, Delivery, Event, Job
from orchestrator.cli.look import age, state_text, to_time, took

_LONGEST_SHOWN = 300
_LEAD_TO_SENDING = ("create", "release", "wake", "claim")
_COLOURS = {"job": "bold", "attempt": "cyan", "callback": "magenta", "delivery": "blue"}


@dataclass(frozen=True)
class Moment:
    """One line of the timeline; `attempt` is 0 for what belongs to none."""

    at: datetime
    kind: str
    attempt: int
    what: str
    detail: str = ""


def job_view(job: Job, now: datetime) -> RenderableType:
    """To be printed without cropping: an output's URL stays in one piece."""
    return Group(_facts(job, now), *_outputs(job), Text(), _timeline(job))


def moments(job: Job) -> list[Moment]:
    """Moves, attempts, callbacks and deliveries, oldest first; at the same time, causes before effects."""
    told = {(event.attempt, event.at) for event in job.events}
    found = [
        *(_of_event(event) for event in job.events if event.verb in _LEAD_TO_SENDING),
        *(one for callback in job.callbacks for one in _of_callback(callback)),
        *(one for attempt in job.attempts for one in _of_attempt(attempt, told)),
        *(_of_event(event) for event in job.events if event.verb not in _LEAD_TO_SENDING),
        *(one for delivery in job.deliveries for one in _of_delivery(delivery)),
    ]
    return sorted(found, key=lambda moment: moment.at)  # which keeps the order of what is of one time


def _facts(job: Job, now: datetime) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Job", Text(job.id, style="bold"))
    grid.add_row("Model", Text(f"{job.model} ({job.api_version})"))
    grid.add_row("State", _state(job))
    grid.add_row("Created", f"{job.created_at}, {age(job.created_at, now)} ago")
    for name, value in job.inputs.items():
        grid.add_row(f"  {name}", Text(_shown(value)))
    if job.error:
        grid.add_row("Error", Text(job.error, style="red"))
    return grid


def _outputs(job: Job) -> Iterator[Text]:
    for number, output in enumerate(job.outputs, start=1):
        yield Text.assemble((f"Output {number}  ", "dim"), _shown(output), no_wrap=True, overflow="ignore")


def _state(job: Job) -> Text:
    text = state_text(job.status)
    if job.reason:
        text.append(f" ({job.reason})", style="default")
    elif not job.is_ended:
        text.append(f" ({job.phase.replace('_', ' ')})", style="default")
    if job.seconds is not None:
        text.append(f" in {took(job.seconds)}", style="default")
    if job.attempt:
        text.append(f", {job.attempt} attempt{'s' if job.attempt > 1 else ''}", style="default")
    if job.cancel_requested and not job.is_ended:
        text.append(", to be cancelled", style="default")
    return text


def _timeline(job: Job) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Time", justify="right", no_wrap=True)
    table.add_column("Try", justify="right", no_wrap=True)
    table.add_column("What", no_wrap=True)
    table.add_column("Why", overflow="fold")
    start = to_time(job.created_at)
    for moment in moments(job):
        table.add_row(
            _offset(moment.at, start),
            str(moment.attempt or ""),
            Text(moment.what, style=_COLOURS[moment.kind]),
            Text(moment.detail, style="dim"),
        )
    return table


def _offset(at: datetime, start: datetime) -> str:
    seconds = max(0.0, (at - start).total_seconds())
    if seconds < 600:
        return f"+{seconds:.3f} s"
    hours, rest = divmod(int(seconds), 3_600)
    return f"+{hours}:{rest // 60:02d}:{rest % 60:02d} h"


def _of_event(event: Event) -> Moment:
    is_plain = event.source in ("", "worker", "client") or event.source in event.because
    told_by = "" if is_plain else f" ({event.source})"
    what = event.to_phase.replace("_", " ")
    return Moment(to_time(event.at), "job", event.attempt, what, f"{event.because}{told_by}")


def _of_attempt(attempt: Attempt, told: Container[tuple[int, str]]) -> Iterator[Moment]:
    """Its end is left out where a move of the job tells it."""
    if attempt.sent_at:
        yield Moment(to_time(attempt.sent_at), "attempt", attempt.number, "sent", "one POST to the provider")
    if (attempt.number, attempt.ended_at) in told:
        return
    if attempt.ended_at:
        checks = f", after {attempt.checks} checks" if attempt.checks else ""
        detail = f"{attempt.outcome.replace('_', ' ')}, told by {attempt.ended_by}{checks}"
        yield Moment(to_time(attempt.ended_at), "attempt", attempt.number, "attempt over", detail)
    elif attempt.next_check_at and attempt.provider_id:
        yield Moment(
            to_time(attempt.next_check_at), "attempt", attempt.number, "next check", "if nobody calls"
        )


def _of_callback(callback: Callback) -> Iterator[Moment]:
    yield Moment(to_time(callback.first_at), "callback", callback.attempt, "callback", callback.verdict)
    if callback.count > 1:
        detail = f"{callback.verdict}, the last of {callback.count} like it"
        yield Moment(to_time(callback.last_at), "callback", callback.attempt, "callback", detail)


def _of_delivery(delivery: Delivery) -> Iterator[Moment]:
    failed = f", {delivery.failures} failed before" if delivery.failures else ""
    yield Moment(to_time(delivery.created_at), "delivery", 0, "webhook made", delivery.id)
    if delivery.finished_at:
        detail = f"{delivery.id}{failed}"
        yield Moment(to_time(delivery.finished_at), "delivery", 0, f"webhook {delivery.state}", detail)
    elif delivery.due_at:
        yield Moment(to_time(delivery.due_at), "delivery", 0, "webhook due", f"{delivery.id}{failed}")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
