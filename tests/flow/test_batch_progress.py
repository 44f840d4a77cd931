"""How long a batch will take: after what goes before it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.clock import DAY
from orchestrator.flow import batch as flow
from orchestrator.flow.batch import Progress
from orchestrator.store.batch_progress import AHEAD_UP_TO, Outlook
from tests.factories import T0, make_batch
from tests.web.test_troubles import OPEN


async def progress(ahead: int = 0, *, completed: int = 0, **given: Any) -> Progress:
    """Of a batch opened a day ago, with 60 jobs that have not been sent, on a lane with 60 a minute."""
    batch = make_batch(opened_at=T0 - DAY, created=60, completed=completed)
    outlook = Outlook([], Counter({OPEN.id: 60}), Counter({OPEN.id: ahead}), [], **given)

    async def read(*_: Any, **__: Any) -> Outlook:
        return outlook

    runtime: Any = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: T0), store=SimpleNamespace(read=read), lanes={OPEN.id: OPEN}
    )
    return await flow.progress(runtime, batch)


@pytest.mark.parametrize(("ahead", "is_least"), [(0, False), (AHEAD_UP_TO - 1, False), (AHEAD_UP_TO, True)])
async def test_a_batch_takes_as_long_as_what_goes_before_it_and_then_as_long_as_itself(
    ahead: int, is_least: bool
) -> None:
    alone = (await progress()).eta_s
    found = await progress(ahead)
    assert alone is not None
    assert found.eta_s == pytest.approx(alone * (60 + ahead) / 60)
    assert found.is_least is is_least


async def test_nobody_can_say_how_long_a_batch_takes_whose_tenant_may_send_nothing() -> None:
    found = await progress(AHEAD_UP_TO, is_stopped=True)
    assert (found.eta_s, found.is_least) == (None, False)


async def test_a_batch_takes_until_its_last_job_may_start() -> None:
    assert (await progress(last_start=T0 + DAY)).eta_s == DAY / 1_000


async def test_a_batch_goes_on_as_it_went_while_it_worked() -> None:
    assert (await progress(completed=30, worked_ms=300_000)).eta_s == 600
