"""`orchestrator demo`: the whole service on real input, against the stand-in provider over real HTTP."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from orchestrator.cli.children import running_sandbox, running_up
from orchestrator.cli.client import Running, Server, open_client
from orchestrator.cli.demo_jobs import Line, Run, count_states, read_lines, submit_all, watch
from orchestrator.cli.demo_report import expectations_text, runs_table, troubles_text
from orchestrator.cli.failures import INTERRUPTED
from orchestrator.cli.look import to_stdout
from orchestrator.cli.run import curl_line

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "jobs.jsonl"
OUTPUT = Path("demo-output")
_TIER = "silver"
_LIMIT_S = 300.0
_FEW = 2
_STATES = ("created", "processing", "completed", "failed", "refused")


def demo(
    *,
    exit_at_end: Annotated[bool, typer.Option("--exit", help="End when the jobs have ended.")] = False,
    jobs: Annotated[
        Path, typer.Option(metavar="FILE", show_default=False, help="Other jobs to run.")
    ] = EXAMPLES,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the images go.")] = OUTPUT,
) -> None:
    """Run the example jobs through everything, for free."""
    console = to_stdout()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lines = read_lines(jobs)
    try:
        with running_service(out.absolute(), console) as server:
            is_good = run_lines(server, lines, beside=jobs.parent, out=out, console=console)
            if not exit_at_end:
                stay(server, console)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not is_good:
        raise typer.Exit(1)


@contextmanager
def running_service(out: Path, console: Console) -> Iterator[Running]:
    """The provider and the orchestrator, on a data directory that is made for this demo alone."""
    console.print("Starting Orchestrator and a stand-in for its provider.")
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="data-", dir=out, ignore_cleanup_errors=True) as data_dir,
        running_sandbox(tier=_TIER, folder=out) as sandbox_url,
        running_up(tier=_TIER, sandbox_url=sandbox_url, data_dir=Path(data_dir), folder=out) as server,
    ):
        console.print(f"They listen at {server.url} and {sandbox_url}.\n")
        yield server


def run_lines(server: Running, lines: list[Line], *, beside: Path, out: Path, console: Console) -> bool:
    """Whether every job ended as its line expects, with its files saved."""
    started = time.monotonic()
    with (
        open_client(Server(server.url, server.api_key, "the demo")) as client,
        _progress(console) as progress,
    ):
        bar = progress.add_task("uploading and submitting", total=len(lines))
        runs = submit_all(client, lines, beside=beside)
        watch(
            client,
            runs,
            folder=out,
            until=started + _LIMIT_S,
            on_look=lambda: progress.update(
                bar, completed=sum(run.is_over for run in runs), description=_counts(runs)
            ),
        )
    console.print(runs_table(runs))
    console.print()
    console.print(troubles_text(runs))
    console.print(expectations_text(runs, out=out, seconds=time.monotonic() - started))
    return all(run.is_as_expected for run in runs)


def stay(server: Running, console: Console) -> None:
    """Until Ctrl-C."""
    with open_client(Server(server.url, server.api_key, "the demo")) as client:
        link = client.login_link().url
    console.print(Text.assemble("\nLook at all of it on the dashboard: ", (link, "bold")), soft_wrap=True)
    console.print(Text.assemble("It stays up at ", (server.url, "bold"), ". Go on with"))
    console.print(f"  {curl_line(server.url, server.api_key)}", soft_wrap=True, markup=False)
    lines = os.path.relpath(EXAMPLES.with_name("batch.jsonl"))
    batch = f"orchestrator batch {lines} --url {server.url} --key {server.api_key}"
    console.print(f"  {batch}", soft_wrap=True, markup=False, highlight=False)
    with suppress(KeyboardInterrupt):
        console.print(Text("Ctrl-C ends it.", style="dim"))
        threading.Event().wait()


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _counts(runs: list[Run]) -> str:
    """`9 completed · 4 processing`; the last few by their numbers, with what each waits for."""
    counts = count_states([run for run in runs if run.is_over])
    left = [run for run in runs if run.job and not run.is_over]
    if len(left) > _FEW:
        counts = count_states(runs)
        left = []
    told = [f"{counts[state]} {state}" for state in _STATES if counts[state]]
    return " · ".join([*told, *(f"#{run.number} {run.phase}" for run in left)])
