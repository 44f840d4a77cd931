"""`orchestrator endpoints`: lists, adds, changes, tries out and removes standing webhook endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from orchestrator.cli.client import Client
from orchestrator.cli.look import age, now_utc, to_stderr, to_stdout
from orchestrator.cli.use import Key, Url, connected
from orchestrator.signing import Scheme
from orchestrator.webhook_events import SUBSCRIBABLE

_PATH = "/api/v3/endpoints"
_ACTIONS = ("disable", "enable", "rotate", "test", "remove")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What hears of a tenant's events; `secret` is there when it was made or rotated."""

    id: str
    url: str
    events: list[str]
    description: str
    scheme: str
    enabled: bool
    disabled_because: str
    failing_since: str
    created_at: str
    secret: str = ""
    old_secret_until: str = ""


class Page(msgspec.Struct, frozen=True):
    """All of a tenant's, oldest first."""

    items: list[Endpoint]


class Sent(msgspec.Struct, frozen=True):
    """The id of a test's delivery."""

    delivery: str


class Removed(msgspec.Struct, frozen=True):
    """It is gone."""

    id: str


class _TakesIds(TyperGroup):
    """`endpoints ID` is short for `endpoints set ID`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # typer's click has no public types
        is_name = args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if is_name else ["set", *args])


app = typer.Typer(cls=_TakesIds, invoke_without_command=True)


@app.callback()
def endpoints(context: typer.Context) -> None:
    """List webhook endpoints, add one, change one, or try it out."""
    if context.invoked_subcommand is None:
        list_endpoints()


@app.command("list")
def list_endpoints(*, url: Url = "", key: Key = "") -> None:
    """List webhook endpoints."""
    with connected(url, key) as client:
        found = client.ask(Page, "GET", _PATH).items
    if found:
        to_stdout().print(endpoints_table(found))
    else:
        to_stderr().print("There are no endpoints: `orchestrator endpoints add URL` makes one.")


@app.command(
    "add",
    epilog="[bold]Example[/bold]\n\n"
    "orchestrator endpoints add https://example.com/hook --events job.completed,job.dead_lettered",
)
def add(
    *,
    hook: Annotated[str, typer.Argument(metavar="URL", help="Where events are to be sent.")],
    events: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Separated by commas, of {', '.join(SUBSCRIBABLE)}.")
    ] = "job.completed,job.failed",
    scheme: Annotated[
        Scheme, typer.Option(help="v1: Standard Webhooks; v3: as WaveSpeed tells a prediction.")
    ] = Scheme.V1,
    description: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="What it is.")] = "",
    url: Url = "",
    key: Key = "",
) -> None:
    """Add a webhook endpoint, and print its secret."""
    asked = {
        "url": hook,
        "events": [name.strip() for name in events.split(",")],
        "scheme": scheme,
        "description": description,
    }
    with connected(url, key) as client:
        _tell_secret(client.ask(Endpoint, "POST", _PATH, json=asked))


@app.command(
    "set", epilog="[bold]Example[/bold]\n\norchestrator endpoints 01a1fd27295570458b3dc8104a0a73b9 --test"
)
def change(
    *,
    endpoint_id: Annotated[str, typer.Argument(metavar="ID", help="As `orchestrator endpoints` has it.")],
    disable: Annotated[bool, typer.Option("--disable", help="Send it nothing more.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Send it what happens from now on.")] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Give it a new secret; for a day the old one signs as well.")
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Send it an event of its own at once.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Delete it.")] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Show an endpoint, or do one thing with it. `endpoints ID` does the same."""
    asked = zip(_ACTIONS, (disable, enable, rotate, test, remove), strict=True)
    given = [name for name, is_given in asked if is_given]
    if len(given) > 1:
        raise typer.BadParameter("give one of --disable, --enable, --rotate, --test and --remove")
    path = f"{_PATH}/{quote(endpoint_id, safe='')}"
    with connected(url, key) as client:
        _act(client, path, given[0] if given else "show")


def _act(client: Client, path: str, action: str) -> None:
    match action:
        case "rotate":
            _tell_secret(client.ask(Endpoint, "POST", f"{path}/rotate-secret"))
        case "test":
            sent = client.ask(Sent, "POST", f"{path}/test").delivery
            to_stdout().print(Text(sent), soft_wrap=True)
            to_stderr().print(f"`orchestrator delivery {sent}` shows what it answered.", soft_wrap=True)
        case "remove":
            to_stdout().print(f"{client.ask(Removed, 'DELETE', path).id} is removed.")
        case "disable" | "enable":
            changed = client.ask(Endpoint, "PATCH", path, json={"enabled": action == "enable"})
            to_stdout().print(f"{changed.id} is {_state(changed)}.")
        case _:
            to_stdout().print(endpoint_view(client.ask(Endpoint, "GET", path), now_utc()))


def endpoints_table(found: Sequence[Endpoint]) -> Table:
    """Where the line is too short, URLs and events are folded and nothing is lost."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("ID", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("URL and events", overflow="fold")
    for one in found:
        what = Text.assemble(one.url, "\n", (", ".join(one.events), "dim"))
        table.add_row(one.id, Text(_state(one), style=_colour(one)), what)
    return table


def endpoint_view(one: Endpoint, now: datetime) -> RenderableType:
    """Its facts, one a line."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    facts: dict[str, Any] = {
        "Endpoint": Text(one.id, style="bold"),
        "URL": Text(one.url),
        "Events": Text(", ".join(one.events)),
        "Form": one.scheme,
        "State": Text(_state(one), style=_colour(one)),
        "Because": Text(one.disabled_because),
        "Failing": f"since {one.failing_since}" if one.failing_since else "",
        "Description": Text(one.description),
        "Created": f"{one.created_at}, {age(one.created_at, now)} ago",
    }
    for name, fact in facts.items():
        if fact:
            grid.add_row(name, fact)
    return grid


def _tell_secret(one: Endpoint) -> None:
    """The secret alone on stdout, for a script."""
    to_stdout().print(Text(one.secret), soft_wrap=True)
    console = to_stderr()
    console.print(endpoint_view(one, now_utc()))
    if one.old_secret_until:
        console.print(f"The secret before signs as well until {one.old_secret_until}.", soft_wrap=True)


def _state(one: Endpoint) -> str:
    if not one.enabled:
        return "disabled"
    return "failing" if one.failing_since else "enabled"


def _colour(one: Endpoint) -> str:
    return {"disabled": "red", "failing": "yellow"}.get(_state(one), "green")
