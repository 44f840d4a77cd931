"""The commands that use a running server: submit, jobs, job, dead, redrive, cancel."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator import settings
from orchestrator.cli.answers import Job
from orchestrator.cli.client import Client, find_server, open_client
from orchestrator.cli.failures import INTERRUPTED, CommandFailed, Declined, NoAnswer, without_login
from orchestrator.cli.follow import follow
from orchestrator.cli.given import checked_idempotency_key, checked_key, checked_model
from orchestrator.cli.look import dead_letter_view, jobs_table, now_utc, to_stderr, to_stdout
from orchestrator.cli.save import save_outputs, try_folder
from orchestrator.cli.timeline import job_view
from orchestrator.cli.values import LocalFile, parse_inputs, parse_place

_SERVER_FAILED = 500


class State(StrEnum):
    """The public states of a job."""

    CREATED = "created"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


Url = Annotated[
    str,
    typer.Option(
        metavar="URL",
        show_default=False,
        help="The server; else ORCHESTRATOR_URL, or the one that `up` runs here.",
    ),
]
Key = Annotated[
    str,
    typer.Option(
        metavar="KEY",
        callback=checked_key,
        show_default=False,
        help="Its API key; else ORCHESTRATOR_API_KEY, or what `up` wrote down here.",
    ),
]
Limit = Annotated[int, typer.Option(min=1, max=100, help="How many at most.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


def submit(
    ctx: typer.Context,
    *,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", callback=checked_model, help="Such as wavespeed-ai/flux-dev.")
    ],
    param: Annotated[
        list[str],
        typer.Option(
            "--param",
            "-p",
            metavar="NAME=VALUE",
            default_factory=list,
            show_default=False,
            help="An input: a JSON value or a text; @FILE is uploaded and its URL sent.",
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it ends and save it.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(parser=parse_place, metavar="DIR", show_default=".", help="Where outputs are saved."),
    ] = None,
    v2: Annotated[bool, typer.Option("--v2", help="Use the API's older version.")] = False,
    webhook: Annotated[
        str, typer.Option(metavar="URL", show_default=False, help="Where the end is to be told.")
    ] = "",
    idempotency_key: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            callback=checked_idempotency_key,
            show_default=False,
            help="The same key and request again is the same job.",
        ),
    ] = "",
    url: Url = "",
    key: Key = "",
) -> None:
    """Submit a job, wait for it, and save what it made."""
    if out and not wait:
        raise typer.BadParameter("nothing is saved with --no-wait", param_hint="--out")
    inputs = parse_inputs(param, model=model)
    if wait:
        try_folder(out or Path())
    with connected(url, key) as client:
        sent = upload_files(client, inputs)
        idempotency_key = idempotency_key or uuid.uuid4().hex
        files = {name: sent[name] for name, value in inputs.items() if isinstance(value, LocalFile)}
        with _telling_the_key(idempotency_key, files):
            job = client.submit(
                model,
                sent,
                version="v2" if v2 else "v3",
                webhook=webhook or None,
                idempotency_key=idempotency_key,
            )
        if not wait:
            to_stdout().print(job.id)
            return
        server = as_typed(ctx)
        tell_end(_followed(client, job, server), out or Path(), server)


def jobs(
    *,
    status: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    model: Annotated[str, typer.Option(show_default=False, help="Only this model.")] = "",
    limit: Limit = 20,
    url: Url = "",
    key: Key = "",
) -> None:
    """List jobs, newest first."""
    with connected(url, key) as client:
        found = client.jobs(status=status or "", model=model, limit=limit)
    if found:
        to_stdout().print(jobs_table(found, now_utc()))
    else:
        to_stderr().print("There are no such jobs.")


def job(*, job_id: JobId, url: Url = "", key: Key = "") -> None:
    """Show one job and everything that happened to it."""
    with connected(url, key) as client:
        to_stdout().print(job_view(client.job(job_id), now_utc()), crop=False)


def dead(ctx: typer.Context, *, limit: Limit = 20, url: Url = "", key: Key = "") -> None:
    """List dead letters: failed jobs that somebody should look at."""
    with connected(url, key) as client:
        found = client.dead_letters(limit=limit)
    for letter in found:
        to_stdout().print(dead_letter_view(letter, now_utc()))
    hint = f"Send one again with `orchestrator redrive ID{as_typed(ctx)}`."
    to_stderr().print(Text(hint if found else "There are no dead letters.", style="dim"), soft_wrap=True)


def redrive(
    *,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Failed or held jobs.")],
    url: Url = "",
    key: Key = "",
) -> None:
    """Give failed jobs another attempt, or release held ones."""
    declined = 0
    with connected(url, key) as client:
        for job_id in job_ids:
            declined += not _redriven(client, job_id)
    if declined:
        raise typer.Exit(1)


def cancel(*, job_id: JobId, url: Url = "", key: Key = "") -> None:
    """Cancel a job; says whether it may be billed all the same."""
    with connected(url, key) as client:
        answer = client.cancel(job_id)
    if answer.may_be_billed:
        to_stdout().print(
            f"{answer.id} will not be tried again, but the provider may have it: it may be billed."
        )
    else:
        to_stdout().print(f"{answer.id} is cancelled; nothing was sent.")


@contextmanager
def connected(url: str, key: str) -> Iterator[Client]:
    with open_client(find_server(settings.load(), url=url, key=key)) as client:
        yield client


def as_typed(ctx: typer.Context) -> str:
    """` --url URL` where the server was named so: what is told to be typed next asks the same one."""
    source = ctx.get_parameter_source("url")
    is_typed = source is not None and source.name == "COMMANDLINE"
    return f" --url {shlex.quote(without_login(ctx.params['url']))}" if is_typed else ""


def upload_files(client: Client, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with each local file replaced by the URL it has now."""
    return {
        name: client.upload(value.path) if isinstance(value, LocalFile) else value
        for name, value in inputs.items()
    }


@contextmanager
def _telling_the_key(idempotency_key: str, files: Mapping[str, str]) -> Iterator[None]:
    """For a job that may be stored without anybody having seen its id: under another key it is paid twice.

    `files` are the URLs of uploads: uploaded anew they are others, and make another request.
    """
    options = ["--idempotency-key", idempotency_key]
    for name, url in files.items():
        options += ["-p", f"{name}={url}"]
    instead = " in place of the files" if files else ""
    hint = f"It may be stored: the same command with `{shlex.join(options)}`{instead} finds it."
    try:
        yield
    except KeyboardInterrupt:
        to_stderr().print(Text(hint), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except (NoAnswer, Declined) as failure:
        if isinstance(failure, Declined) and failure.status < _SERVER_FAILED:
            raise
        raise NoAnswer(f"{failure}\n{hint}") from failure


def tell_end(job: Job, out: Path, server: str) -> None:
    """Paths of the saved files on stdout, everything else on stderr. Exits with 1 for a failed job."""
    if job.status == "failed":
        to_stderr().print(Text.assemble(("failed", "red"), f" ({job.reason}): {job.error}"), soft_wrap=True)
        to_stderr().print(
            Text(f"`orchestrator job {job.id}{server}` tells all of it.", style="dim"), soft_wrap=True
        )
        raise typer.Exit(1)
    try:
        saved = save_outputs(job.outputs, folder=out, stem=job.id)
    except CommandFailed:
        _tell_unsaved(job, server)
        raise
    for path in saved:
        to_stdout().print(Text(str(path)), soft_wrap=True)


def _tell_unsaved(job: Job, server: str) -> None:
    """It is paid for: where its outputs are, and how to see them another time."""
    console = to_stderr()
    for output in job.outputs:
        if isinstance(output, str) and output.startswith(("http://", "https://")):
            console.print(Text(output), soft_wrap=True)
    words = f"Job {job.id} is completed but not saved: `orchestrator job {job.id}{server}` shows its outputs."
    console.print(Text(words), soft_wrap=True)


def _followed(client: Client, job: Job, server: str) -> Job:
    console = to_stderr()
    try:
        ended = follow(client, job, console)
    except KeyboardInterrupt:
        words = f"The job goes on without you: `orchestrator job {job.id}{server}` shows it."
        console.print(Text(words), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    if ended.seconds is not None and ended.status == "completed":
        tries = f" at attempt {ended.attempt}" if ended.attempt > 1 else ""
        console.print(Text.assemble(("completed", "green"), f" in {ended.seconds:.1f} s{tries}"))
    return ended


def _redriven(client: Client, job_id: str) -> bool:
    try:
        redriven = client.redrive(job_id)
    except CommandFailed as failure:
        if failure.exit_code != CommandFailed.exit_code:
            raise
        to_stderr().print(Text(f"{job_id}: {failure}"), soft_wrap=True)
        return False
    to_stdout().print(f"{redriven.id} is {redriven.phase.replace('_', ' ')} again.")
    return True
