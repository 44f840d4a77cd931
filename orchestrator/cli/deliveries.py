"""The commands for webhooks: deliveries, delivery, redeliver."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.cli.client import Client
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.given import parse_lifetime
from orchestrator.cli.look import age, giving_way, now_utc, to_stderr, to_stdout
from orchestrator.cli.use import Key, Limit, Url, connected

_PATH = "/api/v3/deliveries"
_LONGEST_SHOWN = 300
_REST_WIDTH = 42
"""What a line takes beside the id, with some of the URL."""
_COLOURS = {"pending": "yellow", "delivered": "green", "dead": "red"}


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Attempt(msgspec.Struct, frozen=True):
    """One POST, and the beginning of its answer."""

    number: int
    at: str
    latency_ms: int
    status: int | None
    error: str
    answer: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook was told; `attempts` are there when one is read."""

    id: str
    url: str
    state: str
    failures: int
    attempted: int
    last_status: int | None
    last_error: str
    created_at: str
    due_at: str
    finished_at: str
    event: str = ""
    because: str = ""
    attempts: list[Attempt] = []


class Page(msgspec.Struct, frozen=True):
    """Some deliveries, newest first."""

    items: list[Delivery]


class Counted(msgspec.Struct, frozen=True):
    """How many are sent again, or would be."""

    count: int


def deliveries(
    *,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    job: Annotated[str, typer.Option(metavar="ID", show_default=False, help="Only this job's.")] = "",
    batch: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="Only this batch's and its jobs'.")
    ] = "",
    endpoint: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="Only what this endpoint was told.")
    ] = "",
    limit: Limit = 20,
    url: Url = "",
    key: Key = "",
) -> None:
    """List what webhooks were told, newest first."""
    asked = {"state": state or "", "job": job, "batch": batch, "endpoint": endpoint, "limit": limit}
    with connected(url, key) as client:
        found = client.ask(Page, "GET", _PATH, params=asked).items
    if found:
        console = to_stdout()
        console.print(deliveries_view(found, now_utc(), width=console.width))
    else:
        to_stderr().print("There are no such deliveries.")


def delivery(
    *,
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="As `orchestrator deliveries` has it.")],
    url: Url = "",
    key: Key = "",
) -> None:
    """Show one delivery, and what the webhook answered each time."""
    with connected(url, key) as client:
        found = client.ask(Delivery, "GET", f"{_PATH}/{quote(delivery_id, safe='')}")
    to_stdout().print(delivery_view(found, now_utc()))


def redeliver(
    *,
    delivery_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="[ID…]",
            default_factory=list,
            show_default=False,
            help="Ended, or waiting for a later attempt.",
        ),
    ],
    dead_since: Annotated[
        int | None,
        typer.Option(
            parser=parse_lifetime,
            metavar="TIME",
            show_default=False,
            help="All that have died in this time, such as 2h or 3d.",
        ),
    ] = None,
    endpoint: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="With --dead-since: only this endpoint's.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --dead-since: say how many, and send nothing.")
    ] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Tell webhooks again: the same message under the same id, with the whole schedule before it."""
    has_more = dry_run or bool(endpoint)
    if bool(delivery_ids) == (dead_since is not None) or (has_more and dead_since is None):
        raise typer.BadParameter("give either IDs, or --dead-since with or without --dry-run and --endpoint")
    with connected(url, key) as client:
        if dead_since is not None:
            ago = timedelta(milliseconds=dead_since)
            _redeliver_dead(client, ago, endpoint=endpoint, is_dry=dry_run)
            return
        declined = sum(not _redelivered(client, one) for one in delivery_ids)
    if declined:
        raise typer.Exit(1)


def _redeliver_dead(client: Client, ago: timedelta, *, endpoint: str, is_dry: bool) -> None:
    asked = {
        "state": "dead",
        "since": (now_utc() - ago).isoformat(),
        "endpoint": endpoint,
        "dry_run": str(is_dry).lower(),
    }
    counted = client.ask(Counted, "POST", f"{_PATH}/redeliver", params=asked)
    to_stdout().print(f"{counted.count} {'would be' if is_dry else 'are'} sent again.")


def _redelivered(client: Client, delivery_id: str) -> bool:
    try:
        again = client.ask(Delivery, "POST", f"{_PATH}/{quote(delivery_id, safe='')}/redeliver")
    except CommandFailed as failure:
        if failure.exit_code != CommandFailed.exit_code:
            raise
        to_stderr().print(Text(f"{delivery_id}: {failure}"), soft_wrap=True)
        return False
    to_stdout().print(Text(f"{again.id} is sent again."), soft_wrap=True)
    return True


def deliveries_view(found: Sequence[Delivery], now: datetime, *, width: int) -> RenderableType:
    """A line each; two where ids are so long, as an endpoint's are, that nothing else would have a place."""
    if max(len(one.id) for one in found) + _REST_WIDTH <= width:
        return deliveries_table(found, now)
    return Group(*(part for one in found for part in _two_lines(one, now)))


def _two_lines(one: Delivery, now: datetime) -> tuple[Text, Text]:
    told = giving_way("    ")
    told.append(one.state, style=_COLOURS.get(one.state, ""))
    told.append(f"  {age(one.created_at, now)} ago  {_answered(one.last_status, one.last_error)}  {one.url}")
    return Text(one.id, overflow="fold"), told


def deliveries_table(found: Sequence[Delivery], now: datetime) -> Table:
    """Where the line is too short, the URL gives way, and an answer in words."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("ID", no_wrap=True)
    table.add_column("URL")
    table.add_column("State", no_wrap=True)
    table.add_column("Answer")
    table.add_column("Age", justify="right", no_wrap=True)
    for one in found:
        answer = _answered(one.last_status, one.last_error)
        table.add_row(
            one.id,
            giving_way(one.url),
            Text(one.state, style=_COLOURS.get(one.state, "")),
            giving_way(answer),
            age(one.created_at, now),
        )
    return table


def delivery_view(one: Delivery, now: datetime) -> RenderableType:
    """Its facts, and a line for each attempt."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Delivery", Text(one.id, style="bold"))
    grid.add_row("Event", Text(one.event))
    grid.add_row("URL", Text(one.url))
    grid.add_row("State", Text(one.state, style=_COLOURS.get(one.state, "")))
    grid.add_row("Created", f"{one.created_at}, {age(one.created_at, now)} ago")
    if one.due_at:
        grid.add_row("Due", one.due_at)
    if one.because:
        grid.add_row("Because", Text(one.because))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("Try", "Time", "Took", "Answer"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Text", overflow="fold")
    for attempt in one.attempts:
        table.add_row(
            str(attempt.number),
            attempt.at,
            f"{attempt.latency_ms / 1_000:.2f} s",
            Text(_answered(attempt.status, attempt.error)),
            Text(_short(attempt.answer), style="dim"),
        )
    return Group(grid, Text(), table)


def _answered(status: int | None, error: str) -> str:
    return error if status is None else str(status)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"
