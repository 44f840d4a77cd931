"""What the demo says at its end: a line for each job, and in a sentence what the troubled ones show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from orchestrator.cli.answers import Attempt, Job
from orchestrator.cli.demo_jobs import Run
from orchestrator.cli.look import short_model, state_text


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble: how to see it in a job's timeline, and what it shows."""

    name: str
    lesson: str
    count: Callable[[Job], int]


def _outcomes(*wanted: str) -> Callable[[Job], int]:
    return lambda job: sum(attempt.outcome in wanted for attempt in job.attempts)


def _lost_answers(job: Job) -> int:
    return sum(event.verb == "doubt" for event in job.events)


def _lost_callbacks(job: Job) -> int:
    told = {callback.attempt for callback in job.callbacks}
    return sum(attempt.ended_by == "poll" and attempt.number not in told for attempt in job.attempts)


def _doubtful_callbacks(job: Job) -> int:
    return sum(callback.verdict != "valid" for callback in job.callbacks)


def _repeated_callbacks(job: Job) -> int:
    return sum(callback.verdict == "valid" and callback.count > 1 for callback in job.callbacks)


def _failed_tries(job: Job) -> int:
    """Those that were not the end of it."""
    return sum(attempt.outcome == "failed" and attempt.number < job.attempt for attempt in job.attempts)


def _rejections(job: Job) -> int:
    return int(job.reason == "rejected")


TROUBLES = [
    Trouble("busy", "a busy provider was asked again", _outcomes("unavailable", "throttled")),
    Trouble("lost answer", "a lost answer was looked into instead of paying twice", _lost_answers),
    Trouble("lost callback", "a lost callback was found by asking", _lost_callbacks),
    Trouble("wrong callback", "a callback that proves nothing was not believed", _doubtful_callbacks),
    Trouble("repeated callback", "a repeated callback changed nothing", _repeated_callbacks),
    Trouble("task failed", "a failed task got another try", _failed_tries),
    Trouble("rejected", "what can never work failed at once, with its reason", _rejections),
]


def runs_table(runs: Sequence[Run]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("#", justify="right")
    table.add_column("Model", no_wrap=True, overflow="ellipsis", max_width=30)
    for name in ("API", "State"):
        table.add_column(name, no_wrap=True)
    table.add_column("Try", justify="right", no_wrap=True)
    table.add_column("Took", justify="right", no_wrap=True)
    for name in ("Told by", "File"):
        table.add_column(name, no_wrap=True)
    table.add_column("Trouble")
    for run in runs:
        table.add_row(*_row(run))
    return table


def _row(run: Run) -> list[str | Text]:
    job = run.job
    state = state_text(run.state)
    if not run.is_as_expected:
        state.append("!", style="bold red")
    return [
        str(run.number),
        short_model(run.line.model),
        run.line.api_version,
        state,
        str(job.attempt) if job else "",
        f"{job.seconds:.1f} s" if job and job.seconds is not None else "",
        told_by(job) if job else "",
        _files(run.files),
        Text(", ".join(troubles_of(job)) if job else "wrong input"),
    ]


def told_by(job: Job) -> str:
    """Who told the end: callback, poll, history or answer."""
    ended: list[Attempt] = [attempt for attempt in job.attempts if attempt.ended_by]
    return ended[-1].ended_by if ended else ""


def troubles_of(job: Job) -> list[str]:
    """`busy ×2`: what went wrong on the way, and how often."""
    counted = ((trouble.name, trouble.count(job)) for trouble in TROUBLES)
    return [f"{name} ×{count}" if count > 1 else name for name, count in counted if count]


def troubles_text(runs: Sequence[Run]) -> Text:
    met = [run.job for run in runs if run.job and troubles_of(run.job)]
    lessons = [trouble.lesson for trouble in TROUBLES if any(trouble.count(job) for job in met)]
    if not lessons:
        return Text("No job met any trouble.")
    return Text(f"{len(met)} of {len(runs)} met trouble: {'; '.join(lessons)}.")


def expectations_text(runs: Sequence[Run], *, out: Path, seconds: float) -> Text:
    """The verdict: all is as it was expected, or which is not."""
    files = sum(len(run.files) for run in runs)
    wrong = [run for run in runs if not run.is_as_expected]
    if not wrong:
        return Text(
            f"All {len(runs)} ended as expected in {seconds:.0f} s; {files} files are in {out}/.", "green"
        )
    told = "; ".join(f"#{run.number} is {run.state}, {_why(run)}" for run in wrong)
    return Text(f"Not as expected after {seconds:.0f} s: {told}.", "red")


def _why(run: Run) -> str:
    if run.job and run.state == run.line.expect:
        return f"but {len(run.files)} of {len(run.job.outputs)} files are saved"
    reason = run.declined or (run.job.error if run.job else "")
    return f"not {run.line.expect}" + (f" ({reason})" if reason else "")


def _files(files: Sequence[Path]) -> str:
    if not files:
        return ""
    more = f" +{len(files) - 1}" if len(files) > 1 else ""
    return f"{files[0].name}{more}"
