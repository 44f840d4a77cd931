"""`orchestrator tenants`: who shares the account, and in what proportion."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from orchestrator.cli import direct
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.given import checked_name, checked_weight
from orchestrator.cli.look import to_stderr, to_stdout

Name = Annotated[str, typer.Argument(metavar="NAME", callback=checked_name, help="The tenant's name.")]
Weight = Annotated[
    float,
    typer.Option(
        metavar="NUMBER",
        callback=checked_weight,
        help="With 3 it gets three turns for each one of a tenant with 1.",
    ),
]

app = typer.Typer(invoke_without_command=True)


@app.callback()
def tenants(context: typer.Context) -> None:
    """List tenants, add one, or change its weight."""
    if context.invoked_subcommand is None:
        list_tenants()


@app.command("list")
def list_tenants() -> None:
    """List tenants with their keys and waiting jobs."""
    from orchestrator.store import keys

    found = direct.read(keys.list_tenants)
    if not found:
        to_stderr().print("There are no tenants yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Name", overflow="fold")
    for heading in ("Weight", "Keys", "Jobs waiting"):
        table.add_column(heading, justify="right", no_wrap=True)
    for tenant in found:
        table.add_row(Text(tenant.name), f"{tenant.weight:g}", str(tenant.keys), str(tenant.waiting))
    to_stdout().print(table)


@app.command("add")
def add(*, name: Name, weight: Weight = 1.0) -> None:
    """Add a tenant."""
    from orchestrator.store import keys

    if not direct.write(lambda at, now: keys.add_tenant(at, name=name, weight=weight, now=now)):
        raise CommandFailed(f"There is a tenant {name!r} already.")
    _tell(f"{name} is added, with weight {weight:g}.")


@app.command("set")
def set_weight(*, name: Name, weight: Weight) -> None:
    """Change a tenant's weight; it counts from the next job on."""
    from orchestrator.store import keys

    if not direct.write(lambda at, _now: keys.set_weight(at, name=name, weight=weight)):
        raise CommandFailed(f"There is no tenant {name!r}: `orchestrator tenants` lists them.")
    _tell(f"{name} has weight {weight:g} now.")


def _tell(sentence: str) -> None:
    to_stdout().print(Text(sentence), soft_wrap=True)
