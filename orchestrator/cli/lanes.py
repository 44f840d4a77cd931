"""`orchestrator lanes`: limits and pauses as they are, and an operator's orders about them."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table
from rich.text import Text

from orchestrator.cli.answers import Lane, Lanes
from orchestrator.cli.client import Client
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.given import USUAL, parse_order, parse_pause
from orchestrator.cli.look import to_stderr, to_stdout
from orchestrator.cli.use import Key, Url, connected

_PATH = "/api/v3/lanes"


def lanes(
    *,
    lane_id: Annotated[
        str,
        typer.Argument(metavar="[ID]", show_default=False, help="A lane, such as wavespeed/image."),
    ] = "",
    pause: Annotated[bool, typer.Option("--pause", help="Send nothing more.")] = False,
    seconds: Annotated[
        int | None,
        typer.Option(
            "--for",
            parser=parse_pause,
            metavar="TIME",
            show_default=False,
            help="With --pause: how long, such as 90s, 30m or 2h; else until it is resumed.",
        ),
    ] = None,
    because: Annotated[
        str, typer.Option(metavar="TEXT", show_default=False, help="With --pause: shown to those who wait.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="End a pause of --pause.")] = False,
    per_minute: Annotated[
        int | None,
        typer.Option(
            parser=parse_order,
            metavar="NUMBER|usual",
            show_default=False,
            help="Submissions a minute, until `usual` goes back to the settings.",
        ),
    ] = None,
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            parser=parse_order,
            metavar="NUMBER|usual",
            show_default=False,
            help="Tasks of the lane's account at the provider at a time, over all of its lanes.",
        ),
    ] = None,
    url: Url = "",
    key: Key = "",
) -> None:
    """Show limits and pauses; pause a lane, resume it, or set its limits, from the next job on."""
    if (seconds is not None or because) and not pause:
        raise typer.BadParameter("--for and --because belong to --pause")
    if pause and resume:
        raise typer.BadParameter("give either --pause or --resume")
    orders = list(
        _orders(lane_id, pause=pause, resume=resume, per_minute=per_minute, max_in_flight=max_in_flight)
    )
    if orders and not lane_id:
        raise typer.BadParameter("say which lane: `orchestrator lanes` lists them")
    words = {"seconds": seconds, "because": because} if pause else {}
    with connected(url, key) as client:
        for method, path, body in orders:
            _send(client, method, path, body | (words if path.endswith("/pause") else {}))
        _show(client.lanes(), lane_id)


def _orders(
    lane_id: str, *, pause: bool, resume: bool, per_minute: int | None, max_in_flight: int | None
) -> list[tuple[str, str, dict[str, Any]]]:
    """Limits before a resume, so that nothing is sent by the old ones."""
    lane = f"{_PATH}/{quote(lane_id)}"
    account = f"/api/v3/accounts/{quote(lane_id.partition('/')[0], safe='')}"
    asked = [
        (pause, "POST", f"{lane}/pause", {}),
        (per_minute is not None, "PATCH", lane, {"per_minute": _limit(per_minute)}),
        (max_in_flight is not None, "PATCH", account, {"max_in_flight": _limit(max_in_flight)}),
        (resume, "POST", f"{lane}/resume", {}),
    ]
    return [(method, path, body) for is_asked, method, path, body in asked if is_asked]


def _limit(given: int | None) -> int | None:
    return None if given == USUAL else given


def _send(client: Client, method: str, path: str, body: dict[str, Any]) -> None:
    client.ask(Lanes, method, path, json=body)


def _show(told: Lanes, lane_id: str) -> None:
    found = [one for one in told.lanes if lane_id in ("", one.id)]
    if lane_id and not found:
        raise CommandFailed(f"There is no lane {lane_id!r}: `orchestrator lanes` lists them.")
    to_stdout().print(lanes_table(found))
    for account in told.accounts:
        fixed = ", set by an operator" if account.is_fixed else ""
        line = f"{account.id}: {account.max_in_flight} at the provider at a time{fixed}"
        to_stderr().print(Text(f"{line}{f'; {account.trouble}' if account.trouble else ''}"), soft_wrap=True)


def lanes_table(found: list[Lane]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Lane", no_wrap=True)
    table.add_column("Per minute", justify="right", no_wrap=True)
    table.add_column("Set by", no_wrap=True)
    table.add_column("State", overflow="fold")
    for one in found:
        table.add_row(
            Text(one.id), str(one.per_minute), "operator" if one.is_fixed else "settings", state_of(one)
        )
    return table


def state_of(lane: Lane) -> Text:
    """Open, or until when it is paused by whom and why."""
    if not lane.is_paused:
        return Text("open", style="green")
    until = f"until {lane.paused_until}" if lane.paused_until else "until it is resumed"
    return Text(f"paused {until} by the {lane.paused_by}: {lane.pause_reason}", style="yellow")
