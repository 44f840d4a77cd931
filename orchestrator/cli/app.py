"""The command line: the list of commands, and the one place where a failure becomes a sentence."""

from __future__ import annotations

import errno
import io
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from orchestrator.cli import check, deliveries, demo, endpoints, keys, lanes, login, run, tenants, use, watch
from orchestrator.cli.bulk import command as bulk
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.look import to_stderr, to_stdout
from orchestrator.cli.values import is_utf8
from orchestrator.errors import OrchestratorError

RUN, USE, LOOK = "Run it", "Use it", "Look after it"

_MISCONFIGURED = 2


class Commands(TyperGroup):
    """Wrong values of options are told without the word that pydantic puts before."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as wrong:
            wrong.message = wrong.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="orchestrator",
    cls=Commands,
    help="Run media-generation jobs that neither a crash nor a lost callback can lose.",
    epilog="[bold]Try it for free:[/bold] orchestrator demo",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel=RUN)(run.up)
app.command(rich_help_panel=RUN)(run.serve)
app.command(rich_help_panel=RUN)(run.worker)
app.command(rich_help_panel=RUN)(run.migrate)
app.command(rich_help_panel=RUN)(run.sandbox)
app.command(rich_help_panel=RUN)(demo.demo)
app.command(
    rich_help_panel=USE,
    epilog="[bold]Examples[/bold]\n\n"
    "orchestrator submit wavespeed-ai/flux-dev -p prompt='a lighthouse' -p seed=7\n\n"
    "orchestrator submit wavespeed-ai/flux-redux-dev -p image=@boat.png --out art",
)(use.submit)
app.command(
    rich_help_panel=USE,
    epilog="[bold]Examples[/bold]\n\n"
    "orchestrator batch prompts.csv --model wavespeed-ai/flux-dev --dry-run\n\n"
    "orchestrator batch photos/ --model wavespeed-ai/flux-redux-dev -p num_images=2 --out art\n\n"
    "orchestrator batch 0193f0c2a7b94d6e8f1a2b3c4d5e6f70 --retry-failed --watch --out art",
)(bulk.batch)
app.command(rich_help_panel=USE)(bulk.batches)
app.command(
    rich_help_panel=USE,
    epilog="[bold]Example[/bold]\n\norchestrator jobs --status failed --limit 5",
)(use.jobs)
app.command(rich_help_panel=USE)(use.job)
app.command(
    rich_help_panel=USE,
    epilog="[bold]Examples[/bold]\n\norchestrator watch\n\n"
    "orchestrator watch --batch 0193f0c2a7b94d6e8f1a2b3c4d5e6f70 --json",
)(watch.watch)
app.command(rich_help_panel=USE)(use.cancel)
app.command(rich_help_panel=LOOK)(use.dead)
app.command(
    rich_help_panel=LOOK,
    epilog="[bold]Example[/bold]\n\norchestrator redrive 0193f0c2a7b94d6e8f1a2b3c4d5e6f70",
)(use.redrive)
app.command(
    rich_help_panel=LOOK,
    epilog="[bold]Example[/bold]\n\norchestrator deliveries --state dead",
)(deliveries.deliveries)
app.command(rich_help_panel=LOOK)(deliveries.delivery)
app.command(
    rich_help_panel=LOOK,
    epilog="[bold]Examples[/bold]\n\n"
    "orchestrator redeliver 0193f0c2a7b94d6e8f1a2b3c4d5e6f70-1\n\n"
    "orchestrator redeliver --dead-since 2h --dry-run",
)(deliveries.redeliver)
app.command(
    rich_help_panel=LOOK,
    epilog="[bold]Examples[/bold]\n\n"
    "orchestrator lanes wavespeed/image --pause --for 30m --because 'the invoice is being looked at'\n\n"
    "orchestrator lanes wavespeed/image --per-minute 300",
)(lanes.lanes)
app.add_typer(endpoints.app, name="endpoints", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(login.login)
app.command(rich_help_panel=LOOK)(check.check)
app.add_typer(tenants.app, name="tenants", rich_help_panel=LOOK)
app.add_typer(keys.app, name="keys", rich_help_panel=LOOK)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        to_stdout().print(f"orchestrator {version('orchestrator')}")
        raise typer.Exit


@app.callback()
def start(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """What all commands have in common."""


def main() -> None:
    """Exit codes: 0 it worked, 1 it did not, 2 it could not start: usage, settings, no server, wrong key."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    odd = next((word for word in sys.argv[1:] if not is_utf8(word)), None)
    if odd is not None:
        _tell(f"{odd!r} is not UTF-8.")
        sys.exit(_MISCONFIGURED)
    try:
        app(prog_name="orchestrator")
    except CommandFailed as failure:
        _tell(str(failure))
        sys.exit(failure.exit_code)
    except OrchestratorError as error:
        _tell(str(error))
        sys.exit(_MISCONFIGURED)
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        where = f"{error.filename}: " if error.filename else ""  # such as a folder that may not be written
        _tell(f"{where}{error.strerror}.")
        sys.exit(1)


def _tell(sentence: str) -> None:
    to_stderr().print(Text(sentence), soft_wrap=True)
