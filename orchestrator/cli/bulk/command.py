"""The commands for bulk work, `batch` and `batches`: what `batch` is about, its one argument tells."""

from __future__ import annotations

import typer
from rich.text import Text

from orchestrator.cli.bulk import options as opt
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.lines import Shared
from orchestrator.cli.bulk.making import Wishes, make
from orchestrator.cli.bulk.report import batches_table
from orchestrator.cli.bulk.sources import open_source
from orchestrator.cli.bulk.visiting import Visit, visit
from orchestrator.cli.failures import BadSource
from orchestrator.cli.look import now_utc, to_stderr, to_stdout
from orchestrator.cli.use import Key, Limit, Url, as_typed, connected
from orchestrator.cli.values import parse_inputs, to_path
from orchestrator.ids import is_id

# The server takes no longer one; that of a file is nobody's wish.
_LONGEST_NAME = 200


def batch(
    ctx: typer.Context,
    *,
    subject: opt.Subject,
    model: opt.Model = "",
    param: opt.Param,
    image_field: opt.ImageField = "image",
    name: opt.Name = "",
    mode: opt.OnWrong = opt.Mode.ATOMIC,
    strict: opt.Strict = False,
    priority: opt.Priority = None,
    webhook: opt.Webhook = "",
    job_webhook: opt.JobWebhook = "",
    not_before: opt.NotBefore = "",
    start_by: opt.StartBy = "",
    finish_by: opt.FinishBy = "",
    dry_run: opt.TryOut = False,
    again: opt.Again = False,
    no_wait: opt.NoWait = False,
    retry_failed: opt.RetryFailed = False,
    fingerprint: opt.Fingerprint = "",
    cancel: opt.Cancel = False,
    pause: opt.Pause = False,
    resume: opt.Resume = False,
    results: opt.Results = None,
    watch: opt.Watch = False,
    out: opt.Out = None,
    url: Url = "",
    key: Key = "",
) -> None:
    """Send many jobs at once, watch them, and save what they made; or look after a batch that is there.

    The same source and options again go on with the same batch: nothing is paid or downloaded twice.
    """
    path = to_path(subject)
    if not subject or not path.exists():
        batch_id = _batch_id(subject)
        _refuse_options(ctx, of=opt.SENDING, because="goes with a file or folder, and this is an id")
        wanted = {"retry-failed": retry_failed, "cancel": cancel, "pause": pause, "resume": resume}
        verbs = tuple(verb for verb, is_wanted in wanted.items() if is_wanted)
        asked = Visit(
            batch_id, verbs, fingerprint, results=results, watch=watch, out=out, server=as_typed(ctx)
        )
        with connected(url, key) as client:
            visit(client, asked)
        return
    _refuse_options(ctx, of=opt.THERE, because=f"goes with the id of a batch, and {subject!r} is none")
    if no_wait and out:
        raise typer.BadParameter("nothing is saved with --no-wait", param_hint="--out")
    source = open_source(path, Shared(model, parse_inputs(param, model=model or ""), image_field))
    given = {
        "name": name or source.name[:_LONGEST_NAME],
        "model": model,
        "mode": mode.value,
        "strict": "true" if strict else "",
        "priority": "" if priority is None else str(priority),
        "webhook": webhook,
        "job_webhook": job_webhook,
        "not_before": not_before,
        "start_by": start_by,
        "finish_by": finish_by,
    }
    params = {word: value for word, value in given.items() if value}
    with connected(url, key) as client:
        wishes = Wishes(
            params, out, is_trial=dry_run, is_new=again, is_waited_for=not no_wait, server=as_typed(ctx)
        )
        make(client, source, wishes)


def batches(*, limit: Limit = 20, url: Url = "", key: Key = "") -> None:
    """List batches, newest first."""
    with connected(url, key) as client:
        found = Batches(client).newest(limit=limit)
    if found:
        to_stdout().print(batches_table(found, now_utc()))
    else:
        to_stderr().print(Text("There are no batches: `orchestrator batch FILE` makes one."))


def _batch_id(text: str) -> str:
    if not is_id(text):
        raise BadSource(f"{text!r} is neither a file, nor a folder, nor the id of a batch.")
    return text


def _refuse_options(ctx: typer.Context, *, of: str, because: str) -> None:
    """Raises BadParameter for an option that was given and belongs to the other use of the command."""
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and getattr(param, "rich_help_panel", None) == of:
            raise typer.BadParameter(because, param_hint=param.opts[0])
