"""What is asked before all jobs that match a filter are changed."""

from __future__ import annotations

import pytest

from orchestrator.store.job_search import COUNTED
from orchestrator.web.dashboard.job_filters import question


@pytest.mark.parametrize(
    ("number", "asks"),
    [
        (317, "Delete all 317 failed jobs?"),
        (COUNTED, "Delete all 1,000 failed jobs?"),
        (COUNTED + 1, "Delete all failed jobs, more than 1,000?"),
        (None, "Delete all failed jobs?"),
    ],
)
def test_the_question_before_a_bulk_action_names_its_verb_and_how_many(number: int | None, asks: str) -> None:
    assert question("delete", number, "failed jobs").startswith(asks)


def test_one_job_is_asked_for_as_one() -> None:
    assert question("redrive", 1, "failed jobs, of the model a/b").startswith(
        "Retry 1 failed job, of the model a/b? "
    )
