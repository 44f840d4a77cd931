"""What is shown of a batch: its facts, and the words beside its bar."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.cli.answers import BadLine
from orchestrator.cli.bulk import watching
from orchestrator.cli.bulk.answers import Batch, Counts, DryRun
from orchestrator.cli.bulk.client import Batches
from orchestrator.cli.bulk.report import bad_lines_view, batch_view, batches_table, right_lines
from orchestrator.cli.bulk.staying import watched
from orchestrator.cli.bulk.watching import progress_text
from orchestrator.cli.failures import NoServer

NOW = datetime(2026, 1, 2, 3, 5, 0, tzinfo=UTC)
CREDIT = "The account has no credit."


def a_batch(**changes: Any) -> Batch:
    needed: dict[str, Any] = {"id": "b", "state": "running", "created_at": "2026-01-02T03:04:00Z", "total": 9}
    return Batch(**(needed | changes))


def shown(batch: Batch) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(batch_view(batch, NOW))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_batch_that_waits_shows_why_and_another_shows_nothing_of_it() -> None:
    assert CREDIT in shown(a_batch(waiting_for=CREDIT))
    assert "Waits" not in shown(a_batch())


def test_a_batch_whose_jobs_all_failed_does_not_look_like_a_success() -> None:
    assert "completed, but all jobs failed" in shown(a_batch(state="completed", counts=Counts(failed=9)))
    assert "but" not in shown(a_batch(state="completed", counts=Counts(completed=1, failed=8)))


def test_a_table_of_large_batches_fits_80_columns_and_only_names_give_way() -> None:
    large = a_batch(
        id="0193f0c2a7b94d6e8f1a2b3c4d5e6f70",
        name="a spring campaign with a long name",
        state="cancelling",
        total=100_000,
        counts=Counts(failed=100_000),
        progress=1.0,
    )
    console = Console(file=io.StringIO(), width=80)

    console.print(batches_table([large], NOW))

    assert isinstance(console.file, io.StringIO)
    (_, line) = console.file.getvalue().splitlines()
    head, state, done, percent, *rest = line.rsplit(maxsplit=7)
    assert head.startswith(f"{large.id} a")
    assert head.endswith("…")
    assert (state, done, percent, *rest) == ("cancelling", "100", "%", "100,000", "100,000", "1", "min")


def test_a_custom_id_with_a_line_break_stays_in_its_row() -> None:
    console = Console(file=io.StringIO(), width=80)

    console.print(bad_lines_view([BadLine(7, "is required", custom_id="two\nlines", field="in\nput")]))

    assert isinstance(console.file, io.StringIO)
    (_, row) = console.file.getvalue().splitlines()
    assert row.split() == ["7", "two\ufffdlines", "in\ufffdput", "is", "required"]


@pytest.mark.parametrize(
    ("accepted", "total", "words"),
    [
        (0, 1, "0 of 1 line is right"),
        (1, 1, "1 of 1 line is right"),
        (1, 2, "1 of 2 lines is right"),
        (0, 2, "0 of 2 lines are right"),
    ],
)
def test_right_lines_are_counted_in_english(accepted: int, total: int, words: str) -> None:
    assert right_lines(DryRun(total, accepted, [])) == words


def test_a_server_that_is_gone_is_told_and_how_to_come_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(Batches):
        def __init__(self) -> None:
            """No client: nobody is there to be asked."""

        def read(self, batch_id: str) -> Batch:
            raise NoServer("http://x")

    monkeypatch.setattr(watching, "_PATIENCE_S", 0.1)

    with pytest.raises(NoServer):
        watched(Gone(), a_batch(), Path("art"), server=" --url http://x")

    told = capsys.readouterr().err
    assert "running: 0 of 9 · the server does not answer, and is looked for" in told
    assert "Come back with: orchestrator batch b --watch --out art --url http://x\n" in told


def test_the_words_beside_the_bar_end_with_why_it_waits() -> None:
    batch = a_batch(counts=Counts(completed=1), waiting_for=CREDIT)
    assert progress_text(batch).plain == f"1 of 9 · waits: {CREDIT}"
