"""What is shown of jobs: in 80 columns, piped, and in the order of time."""

from __future__ import annotations

import io
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.text import Text

from orchestrator import processes
from orchestrator.cli import run as run_commands
from orchestrator.cli.answers import Attempt, BadLine, Callback, Event, Job
from orchestrator.cli.bulk.answers import Failure
from orchestrator.cli.bulk.report import bad_lines_view, failures_table
from orchestrator.cli.deliveries import Delivery, deliveries_table, deliveries_view
from orchestrator.cli.demo_jobs import Line, Run
from orchestrator.cli.demo_report import expectations_text, runs_table, told_by, troubles_of, troubles_text
from orchestrator.cli.look import age, dead_letter_view, jobs_table, to_stderr, to_stdout
from orchestrator.cli.timeline import job_view, moments
from orchestrator.cli.watch import Happened, _View
from orchestrator.processes import OnReady, ServerInfo

NOWHERE = Path("nowhere")
NOW = datetime(2026, 1, 2, 3, 5, 0, tzinfo=UTC)
ID = "0193f0c2a7b94d6e8f1a2b3c4d5e6f70"
JOB = Job(
    id=ID,
    model="wavespeed-ai/flux-kontext-pro/text-to-image",
    status="completed",
    created_at="2026-01-02T03:04:00.000Z",
    api_version="v3",
    phase="completed",
    attempt=1,
    seconds=1.5,
)


def job(**changes: Any) -> Job:
    return msgspec.structs.replace(JOB, **changes)


def event(second: str, verb: str, to_phase: str, **changes: Any) -> Event:
    first = Event(f"2026-01-02T03:04:{second}Z", verb, "", to_phase, 1, "worker", "because")
    return msgspec.structs.replace(first, **changes)


def attempt(**changes: Any) -> Attempt:
    first = Attempt(1, "task", "2026-01-02T03:04:00.010Z", "2026-01-02T03:04:00.020Z", "", "", "", "", 0)
    return msgspec.structs.replace(first, **changes)


def callback(**changes: Any) -> Callback:
    at = "2026-01-02T03:04:01.500Z"
    return msgspec.structs.replace(Callback(1, "valid", 1, at, at), **changes)


def rendered(view: RenderableType, *, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


ESCAPES = "a \x1b]0;PWNED\x07sea \x9b31m\x7f\rred [red]\tin\na line"


@pytest.mark.parametrize(
    "view",
    [
        job_view(job(inputs={"prompt": ESCAPES}, outputs=[ESCAPES], error=ESCAPES, model=ESCAPES), NOW),
        jobs_table([job(model=ESCAPES)], NOW),
        dead_letter_view(job(error=ESCAPES), NOW),
        failures_table([Failure(fingerprint="f", reason="rejected", message=ESCAPES, count=1)]),
        bad_lines_view([BadLine(line=1, custom_id=ESCAPES, field=ESCAPES, message=ESCAPES)]),
        Text(ESCAPES),
        escape(ESCAPES),
    ],
    ids=["job", "jobs", "dead letter", "failures", "bad lines", "text", "sentence"],
)
def test_foreign_words_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], view: RenderableType
) -> None:
    to_stdout().print(view)
    to_stderr().print(view)

    for told in capsys.readouterr():
        assert "a \N{REPLACEMENT CHARACTER}]0;PWNEDsea \N{REPLACEMENT CHARACTER}31m" in told
        assert {sign for sign in told if unicodedata.category(sign) == "Cc"} <= {"\n", "\t"}


def test_where_the_api_listens_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_serve(*_: object, on_ready: OnReady, **_more: object) -> None:
        on_ready(ServerInfo("http://[fe80::1]:8080", "key", 1))

    monkeypatch.setattr(processes, "run_serve", run_serve)
    run_commands.serve()
    assert capsys.readouterr().err == "The API listens at http://[fe80::1]:8080.\n"


def test_a_table_of_jobs_fits_80_columns_with_whole_ids() -> None:
    lines = rendered(jobs_table([job(), job(status="processing", seconds=1234.5)], NOW))

    assert all(len(line) <= 80 and (ID in line or line.startswith("ID")) for line in lines)
    assert "processing" in lines[2]


@pytest.mark.parametrize("ending", ["-1", "-test-12"])
def test_a_table_of_deliveries_keeps_ids_whole_whatever_was_answered(ending: str) -> None:
    one = Delivery(
        id=f"{ID}{ending}",
        url="https://hooks.example.com/" + "a" * 60,
        state="delivered",
        failures=0,
        attempted=1,
        last_status=None,
        last_error="the connection was refused, and refused again",
        created_at="2026-01-02T03:04:00Z",
        due_at="",
        finished_at="",
    )

    head, line = rendered(deliveries_table([one], NOW))

    assert len(line) <= 80
    assert line.split()[0] == one.id
    assert head.split() == ["ID", "URL", "State", "Answer", "Age"]
    assert "delivered" in line
    assert line.endswith("1 min")


def test_deliveries_with_very_long_ids_take_two_lines_each() -> None:
    one = Delivery(
        id=f"{ID}-1-{ID}",
        url="https://hooks.example.com/" + "a" * 60,
        state="delivered",
        failures=0,
        attempted=1,
        last_status=200,
        last_error="",
        created_at="2026-01-02T03:04:00Z",
        due_at="",
        finished_at="",
    )

    first, second = rendered(deliveries_view([one], NOW, width=80))

    assert first == one.id
    assert second.startswith("    delivered  1 min ago  200  https://hooks.example.com/a")
    assert len(second) <= 80
    assert len(rendered(deliveries_view([one], NOW, width=200), width=200)) == 2


def test_what_does_not_fit_a_line_of_watch_goes_on_below_its_words() -> None:
    happened = Happened(ID, "processing", "waiting", 1, "the provider " * 9, "2026-01-02T03:04:00Z")
    told = io.StringIO()

    _View(Console(file=told, width=80, force_terminal=True, color_system=None))._tell("job.waiting", happened)

    first, *others = told.getvalue().splitlines()
    assert ID in first
    assert others
    assert all(line.startswith(" " * 10) for line in others)


def test_a_wide_table_cuts_no_model() -> None:
    assert "flux-kontext-pro/text-to-image" in rendered(jobs_table([job()], NOW), width=200)[1]


def test_ages_are_told_in_the_unit_that_fits() -> None:
    stamps = ["2026-01-02T03:04:56Z", "2026-01-02T03:02:00Z", "2026-01-01T22:05:00Z", "2025-12-30T03:05:00Z"]

    assert [age(stamp, NOW) for stamp in stamps] == ["4 s", "3 min", "5 h", "3 d"]


def test_a_dead_letter_says_why() -> None:
    letter = job(model="wavespeed-ai/flux-dev", status="failed", reason="rejected", error="size: [too large]")

    assert "rejected" in rendered(dead_letter_view(letter, NOW))[0]
    assert rendered(dead_letter_view(letter, NOW))[1] == "    flux-dev: size: [too large]"


def test_a_long_error_of_a_dead_letter_stays_indented() -> None:
    letter = job(status="failed", reason="rejected", error="too large " * 20)

    assert all(line.startswith("    ") for line in rendered(dead_letter_view(letter, NOW))[1:])


def test_a_timeline_is_in_the_order_of_time() -> None:
    story = job(
        events=[event("00.000", "create", "ready"), event("00.010", "claim", "submitting")],
        attempts=[attempt()],
        callbacks=[callback()],
    )

    assert [moment.what for moment in moments(story)] == ["ready", "submitting", "sent", "callback"]


def test_what_is_of_one_time_is_in_the_order_of_cause() -> None:
    story = job(
        events=[
            event("00.020", "create", "ready"),
            event("00.020", "claim", "submitting"),
            event("00.020", "accept", "accepted"),
        ],
        attempts=[attempt()],
    )

    assert [moment.what for moment in moments(story)] == ["ready", "submitting", "sent", "accepted"]


def test_the_end_of_an_attempt_is_told_once() -> None:
    ended_at = "2026-01-02T03:04:01.500Z"
    over = attempt(ended_at=ended_at, ended_by="callback", outcome="completed")

    alone = job(attempts=[over])
    with_move = job(attempts=[over], events=[event("01.500", "complete", "completed")])

    assert [moment.what for moment in moments(alone)] == ["sent", "attempt over"]
    assert [moment.what for moment in moments(with_move)] == ["sent", "completed"]


def test_the_url_of_an_output_is_not_broken() -> None:
    url = "https://cdn.example.com/" + "a" * 100 + ".png"
    console = Console(file=io.StringIO(), width=80)

    console.print(job_view(job(outputs=[url]), NOW), crop=False)

    assert isinstance(console.file, io.StringIO)
    assert url in console.file.getvalue()


def test_brackets_in_a_prompt_are_shown_as_they_are() -> None:
    assert any("[bold]sea" in line for line in rendered(job_view(job(inputs={"prompt": "[bold]sea"}), NOW)))


def run(number: int, seen: Job, *, expect: str = "completed") -> Run:
    return Run(number, Line(model=seen.model, input={}, expect=expect), job=seen)


def test_each_trouble_is_read_off_the_timeline() -> None:
    busy = attempt(outcome="unavailable", ended_by="answer")
    polled = attempt(outcome="completed", ended_by="poll")
    failed = attempt(outcome="failed", ended_by="callback")

    assert troubles_of(job(attempts=[busy, busy, attempt(number=3)])) == ["busy ×2"]
    assert troubles_of(job(attempts=[polled])) == ["lost callback"]
    assert troubles_of(job(attempts=[polled], callbacks=[callback(verdict="invalid")])) == ["wrong callback"]
    assert troubles_of(job(events=[event("00.100", "doubt", "in_doubt")])) == ["lost answer"]
    assert troubles_of(job(attempts=[failed], attempt=2)) == ["task failed"]
    assert troubles_of(job(attempts=[failed], status="failed", reason="rejected")) == ["rejected"]
    assert troubles_of(job(attempts=[attempt(ended_by="callback")], callbacks=[callback()])) == []


def test_the_last_ended_attempt_says_who_told_the_end() -> None:
    assert told_by(job(attempts=[attempt(ended_by="answer"), attempt(number=2, ended_by="poll")])) == "poll"


def test_the_report_of_the_demo_fits_80_columns() -> None:
    model = "wavespeed-ai/flux-kontext-pro"
    polled = job(model=model, attempts=[attempt(ended_by="poll")])

    lines = rendered(
        runs_table([run(1, polled), run(12, job(model=model, status="processing", seconds=None))])
    )

    assert all(len(line) <= 80 for line in lines)
    assert "lost callback" in lines[1]


def test_the_report_names_what_is_not_as_expected() -> None:
    runs = [run(1, job()), run(2, job(status="failed", error="no credit")), run(3, job(outputs=["a"]))]

    told = str(expectations_text(runs, out=NOWHERE, seconds=3.0))

    assert "#1" not in told
    assert "#2 is failed, not completed (no credit)" in told
    assert "#3 is completed, but 0 of 1 files are saved" in told


def test_a_demo_without_trouble_says_so() -> None:
    assert str(troubles_text([run(1, job())])) == "No job met any trouble."
