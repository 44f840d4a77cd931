"""`orchestrator tenants`: who shares the account, in what proportion, within which limits of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import UNSET, UnsetType, to_builtins
from rich.table import Table
from rich.text import Text

from orchestrator.cli import direct
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.given import NO_LIMIT, checked_name, checked_weight, parse_limit
from orchestrator.cli.look import to_stderr, to_stdout

if TYPE_CHECKING:
    from orchestrator.store.tenants import Tenant, Terms

Name = Annotated[str, typer.Argument(metavar="NAME", callback=checked_name, help="The tenant's name.")]
Weight = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        callback=checked_weight,
        show_default=False,
        help="With 3 it gets three turns for each one of a tenant with 1, which is what a new one has.",
    ),
]
MaxInFlight = Annotated[
    int | None,
    typer.Option(
        parser=parse_limit,
        metavar="NUMBER|none",
        show_default=False,
        help="At most so many of its jobs are at the provider at a time; 0 stops it.",
    ),
]
MaxQueued = Annotated[
    int | None,
    typer.Option(
        parser=parse_limit,
        metavar="NUMBER|none",
        show_default=False,
        help="With so many stored that have not ended, more are refused with 429; 0 takes none.",
    ),
]

app = typer.Typer(invoke_without_command=True)


@app.callback()
def tenants(context: typer.Context) -> None:
    """List tenants, add one, or change its weight and limits."""
    if context.invoked_subcommand is None:
        list_tenants()


@app.command("list")
def list_tenants() -> None:
    """List tenants with their weights, limits, keys and waiting jobs."""
    from orchestrator.store import tenants as stored

    found = direct.read(stored.list_tenants)
    if found:
        to_stdout().print(tenants_table(found))
    else:
        to_stderr().print("There are no tenants yet.")


@app.command("add")
def add(
    *, name: Name, weight: Weight = None, max_in_flight: MaxInFlight = None, max_queued: MaxQueued = None
) -> None:
    """Add a tenant."""
    from orchestrator.store import tenants as stored

    terms = _terms(weight, max_in_flight, max_queued)
    if not direct.write(lambda at, now: stored.add_tenant(at, name=name, terms=terms, now=now)):
        raise CommandFailed(f"There is a tenant {name!r} already.")
    _tell(f"{name} is added.")


@app.command(
    "set", epilog="[bold]Example[/bold]\n\norchestrator tenants set shop --weight 3 --max-queued none"
)
def change(
    *, name: Name, weight: Weight = None, max_in_flight: MaxInFlight = None, max_queued: MaxQueued = None
) -> None:
    """Change a tenant's weight or limits, from the next job on; what is not given stays."""
    from orchestrator.store import tenants as stored

    terms = _terms(weight, max_in_flight, max_queued)
    if terms == stored.Terms():
        raise typer.BadParameter("Give at least one of --weight, --max-in-flight and --max-queued.")
    if not direct.write(lambda at, _now: stored.change_tenant(at, name=name, terms=terms)):
        raise CommandFailed(f"There is no tenant {name!r}: `orchestrator tenants` lists them.")
    told = ", ".join(f"{term.replace('_', ' ')} {_told(value)}" for term, value in to_builtins(terms).items())
    _tell(f"{name} is changed: {told}.")


def tenants_table(found: list[Tenant]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Name", overflow="fold")
    for heading in ("Weight", "Most in flight", "Most queued", "Keys", "Jobs waiting"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        limits = [_limit(one.max_in_flight), _limit(one.max_queued)]
        table.add_row(Text(one.name), f"{one.weight:g}", *limits, str(one.keys), str(one.waiting))
    return table


def _terms(weight: float | None, max_in_flight: int | None, max_queued: int | None) -> Terms:
    from orchestrator.store.tenants import Terms

    return Terms(
        weight=UNSET if weight is None else weight,
        max_in_flight=_to_term(max_in_flight),
        max_queued=_to_term(max_queued),
    )


def _to_term(limit: int | None) -> int | UnsetType | None:
    if limit is None:
        return UNSET
    return None if limit == NO_LIMIT else limit


def _limit(limit: int | None) -> str:
    return "none" if limit is None else str(limit)


def _told(value: float | None) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _tell(sentence: str) -> None:
    to_stdout().print(Text(sentence), soft_wrap=True)
