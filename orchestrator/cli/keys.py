"""`orchestrator keys`: lists, makes and revokes API keys; a key itself is shown once, when it is made."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from orchestrator.cli import direct
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.given import checked_name, parse_lifetime
from orchestrator.cli.look import age, now_utc, to_stderr, to_stdout, to_time
from orchestrator.clock import to_rfc3339
from orchestrator.ids import new_api_key

if TYPE_CHECKING:
    from orchestrator.store.keys import Key, NamedKey

_COLOURS = {"valid": "green", "expired": "yellow", "revoked": "red"}


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


app = typer.Typer(invoke_without_command=True)


@app.callback()
def keys(context: typer.Context) -> None:
    """List API keys, make one, or revoke one."""
    if context.invoked_subcommand is None:
        list_keys()


@app.command("list")
def list_keys(
    *,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Only this tenant's.")
    ] = None,
) -> None:
    """List API keys, without the keys themselves."""
    from orchestrator.store import keys as stored

    found = direct.read(lambda at: stored.list_keys(at, tenant=tenant))
    if found:
        to_stdout().print(keys_table(found, now=int(now_utc().timestamp() * 1_000)))
    else:
        to_stderr().print("There are no such keys.")


@app.command("create", epilog="[bold]Example[/bold]\n\nKEY=$(orchestrator keys create ci --expires 90d)")
def create(
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", callback=checked_name, help="What it is to be called.")
    ],
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose key it is.")] = "default",
    scope: Annotated[
        list[Scope],
        typer.Option(
            default_factory=lambda: [Scope.SUBMIT, Scope.READ],
            show_default="submit and read",
            help="What it may do; can be given several times.",
        ),
    ],
    expires: Annotated[
        int | None,
        typer.Option(
            parser=parse_lifetime,
            metavar="TIME",
            show_default=False,
            help="After how long it ends, such as 12h or 90d; else never.",
        ),
    ] = None,
) -> None:
    """Make an API key and print it, this once."""
    from orchestrator.store import keys as stored

    key = new_api_key()
    made = direct.write(
        lambda at, now: stored.create_key(
            at,
            key=key,
            name=name,
            tenant=tenant,
            scopes=scope,
            expires_at=None if expires is None else now + expires,
            now=now,
        )
    )
    if made is stored.Refusal.NO_TENANT:
        raise CommandFailed(f"--tenant: there is no tenant {tenant!r}: `orchestrator tenants` lists them.")
    if made is stored.Refusal.NAME_TAKEN:
        raise CommandFailed(f"{tenant} has a key {name!r} already; revoke that, or take another name.")
    to_stdout().print(Text(key), soft_wrap=True)
    to_stderr().print(_facts(made))


@app.command("revoke")
def revoke(
    *, given: Annotated[str, typer.Argument(metavar="PREFIX_OR_NAME", help="As `orchestrator keys` has it.")]
) -> None:
    """Revoke an API key; running servers refuse it within two seconds."""
    from orchestrator.store import keys as stored

    matching = direct.write(lambda at, now: stored.revoke_key(at, given=given, now=now))
    if not matching:
        raise CommandFailed(
            "No key with this prefix or name is there to be revoked: `orchestrator keys` lists them."
        )
    if len(matching) > 1:
        several = "\n".join(f"  {_called(one)}" for one in matching)
        raise CommandFailed(f"Several keys match; none was revoked. Give the prefix of one:\n{several}")
    to_stdout().print(Text(f"{_called(matching[0])} is revoked."), soft_wrap=True)


def keys_table(found: list[NamedKey], *, now: int) -> Table:
    """Where the line is too short, all but the prefix and the state is folded, and nothing is lost."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("Prefix", no_wrap=True)
    for heading in ("Name", "Tenant", "Scopes", "Created", "Expires", "Last use"):
        table.add_column(heading, overflow="fold")
    table.add_column("State", no_wrap=True)
    for one in found:
        state = state_of(one.key, now)
        table.add_row(
            Text(one.prefix),
            Text(one.name),
            Text(one.tenant),
            _scopes(one.key),
            _when(one.created_at, now),
            _when(one.key.expires_at, now),
            _when(one.key.last_used_at, now),
            Text(state, style=_COLOURS[state]),
        )
    return table


def state_of(key: Key, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.is_valid(now) else "expired"


def _facts(made: NamedKey) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Name", Text(made.name))
    grid.add_row("Tenant", Text(made.tenant))
    grid.add_row("Scopes", _scopes(made.key))
    grid.add_row("Expires", "never" if made.key.expires_at is None else to_rfc3339(made.key.expires_at))
    grid.add_row("", "The key is shown this once; only its digest is kept.")
    return grid


def _scopes(key: Key) -> str:
    return " ".join(scope for scope in Scope if scope in key.scopes)


def _when(at: int | None, now: int) -> str:
    if at is None:
        return "never"
    if at > now:
        return f"in {_between(now, at)}"
    return f"{_between(at, now)} ago"


def _between(early: int, late: int) -> str:
    return age(to_rfc3339(early), to_time(to_rfc3339(late)))


def _called(one: NamedKey) -> str:
    return f"{one.prefix} ({one.name}, of {one.tenant})"
