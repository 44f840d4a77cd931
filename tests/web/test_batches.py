"""Batches as people see them: what was cancelled is no failure of anybody."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from orchestrator.flow.batch import Progress
from orchestrator.job import Phase, Reason
from orchestrator.web.dashboard.batches import Row, bar_of, left_ms, per_minute
from tests.factories import make_batch, make_job
from tests.web.shown import NOW, page_of

BEGAN = NOW - 60_000
BATCH = make_batch(name="covers", created_at=BEGAN, opened_at=BEGAN, completed=90, failed=310)


def page(**given: Any) -> str:
    """The batch's own page."""
    progress = SimpleNamespace(failures=[])
    unknown = {"left_ms": None, "after": 0}
    return page_of("batch", batch=BATCH, cancelled=300, may=(), progress=progress, **unknown, **given)


def test_cancelled_jobs_are_a_part_of_their_own_in_the_bar() -> None:
    bar = bar_of(BATCH, 300)
    assert "90 completed, 10 failed, 300 cancelled of 400" in bar
    assert '<rect class="tone-bad" x="225.0" width="25.0"' in bar
    assert '<rect class="tone-idle" x="250.0" width="750.0"' in bar


def test_cancelled_jobs_are_counted_apart_on_the_batchs_page_and_in_the_list() -> None:
    assert '</svg>failed</span></h2><span class="value">10</span>' in page()
    assert '</svg>cancelled</span></h2><span class="value">300</span>' in page()
    row = Row(
        batch=BATCH,
        title="covers",
        tenant="default",
        cancelled=300,
        bar=bar_of(BATCH, 300),
        per_minute=None,
        left_ms=None,
        is_least=False,
        waiting_for="",
    )
    listed = page_of("batches", rows=[row])
    assert '<span class="state tone-bad">10</span><br><span class="soft">300 cancelled</span>' in listed


@pytest.mark.parametrize(("eta_s", "left"), [(None, None), (0.0, 0.0), (0.023, 1_000), (90.0, 90_000)])
def test_what_is_left_is_never_less_than_a_second(eta_s: float | None, left: float | None) -> None:
    assert left_ms(Progress(per_second=1, eta_s=eta_s, waiting_for="", failures=[])) == left


def test_where_more_go_before_it_than_were_counted_the_time_is_the_least() -> None:
    progress = Progress(per_second=1, eta_s=90, waiting_for="", failures=[], is_least=True)
    told = page_of("batch", batch=BATCH, cancelled=0, may=(), progress=progress, left_ms=90_000, after=0)
    assert "<dt>To go</dt><dd>at least 1 min 30 s</dd>" in told


def test_a_cancelled_batch_has_no_pace() -> None:
    assert per_minute(BATCH, NOW) == 400
    assert per_minute(structs.replace(BATCH, cancelled_at=NOW), NOW) is None


def test_a_cancelled_job_of_a_batch_says_so_and_is_no_alarm() -> None:
    job = make_job(Phase.FAILED, reason=Reason.CANCELLED, batch_id="b1", line=1)
    line = SimpleNamespace(found=SimpleNamespace(job=job), picture=None, more=0, error="")
    for shape in ("table", "gallery"):
        shown = page(lines=[line], shape=shape)
        told = shown[shown.index('id="jobs"') :]
        assert 'failed<span class="more">cancelled</span>' in told
        assert "tone-bad" not in told
