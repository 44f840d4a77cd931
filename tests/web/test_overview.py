"""The strip of stages on the dashboard's first page."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from orchestrator.store.board import COUNTED_UP_TO, FirstPage, Seen
from orchestrator.store.figures import bucket_of
from orchestrator.web.dashboard.overview import Stage, stages_of
from tests.web.shown import page_of

NOTHING_SEEN = Seen(dead=0, in_doubt=0, dead_deliveries=0, workers=1, waiting_since=None, ready_since=None)


def stages(now: int = 0, **given: Any) -> dict[str, Stage]:
    """By title."""
    nothing: dict[str, Any] = {
        "phases": Counter[str](),
        "oldest": {},
        "held": 0,
        "day": {"completed": {}, "failed": {}, "reason_cancelled": {}},
        "dwell": {},
        "trend": {},
        "totals": {},
        "seen": NOTHING_SEEN,
        "accounts": [],
        "newest": [],
        "batches": [],
    }
    return {one.title: one for one in stages_of(FirstPage(**(nothing | given)), now)}


def strip_of(found: dict[str, Stage]) -> str:
    """The first page with these stages and nothing else."""
    return page_of("now", stages=list(found.values()))


@pytest.mark.parametrize(("in_doubt", "is_more"), [(COUNTED_UP_TO - 1, False), (COUNTED_UP_TO, True)])
def test_what_is_not_counted_to_its_end_is_shown_as_at_least_that(in_doubt: int, is_more: bool) -> None:
    stage = stages(held=7, seen=structs.replace(NOTHING_SEEN, in_doubt=in_doubt))["Held"]
    assert (stage.count, stage.is_more) == (7 + in_doubt, is_more)


def test_what_ended_in_a_day_leads_to_the_jobs_of_that_day() -> None:
    found = stages()
    assert [found[title].path for title in ("Completed", "Failed")] == [
        "/jobs?phase=completed&since=24h",
        "/jobs?phase=failed&since=24h",
    ]


MINUTES = 60_000


@pytest.mark.parametrize(
    ("phase", "p95", "calm", "alarming"),
    [
        ("Ready", None, 4 * MINUTES, 6 * MINUTES),
        ("Ready", 1_000, 4 * MINUTES, 6 * MINUTES),
        ("Ready", 30 * MINUTES, 60 * MINUTES, 120 * MINUTES),
        ("Accepted", None, 14 * MINUTES, 16 * MINUTES),
        ("Accepted", 10 * MINUTES, 20 * MINUTES, 40 * MINUTES),
    ],
)
def test_the_oldest_is_an_alarm_when_it_is_much_older_than_most_get(
    phase: str, p95: int | None, calm: int, alarming: int
) -> None:
    times = {} if p95 is None else {name: Counter({bucket_of(p95): 9}) for name in ("wait", "run")}
    name = phase.lower()
    for age, is_alarm in ((calm, False), (alarming, True)):
        found = stages(now=age, phases=Counter({name: 1}), oldest={name: 0}, dwell=times)
        assert found[phase].is_alarm is is_alarm


def test_what_is_held_for_a_person_has_the_age_of_its_oldest() -> None:
    seen = structs.replace(NOTHING_SEEN, in_doubt=1, in_doubt_since=0)
    assert '<span class="note age">oldest for you 3 h</span>' in strip_of(
        stages(now=180 * MINUTES, seen=seen)
    )
    assert stages()["Held"].age is None


def test_what_was_cancelled_in_a_day_is_no_failure() -> None:
    day = {"completed": {0: 7}, "failed": {0: 5, 1: 300}, "reason_cancelled": {1: 300}}
    failed = stages(day=day)["Failed"]
    assert (failed.count, failed.means) == (5, "in 24 hours, and 300 cancelled")


def test_a_stage_is_called_as_the_phase_is_everywhere() -> None:
    phases = ("ready", "waiting", "submitting", "in_doubt", "accepted")
    found = stages()
    for phase in phases:
        assert found[phase.replace("_", " ").capitalize()].path == f"/jobs?phase={phase}"


def test_how_long_ready_jobs_took_is_told_since_they_were_stored() -> None:
    times = {"wait": Counter({bucket_of(4_000): 1}), "submit": Counter({bucket_of(100): 1})}
    page = strip_of(stages(dwell=times))
    assert 'title="How long it took from stored to sent, over 24 hours: half of the jobs' in page
    assert "from stored to sent: <span>half 4.1 s,</span>" in page
    assert 'title="How long it took in this stage, over 24 hours: half of the jobs' in page
