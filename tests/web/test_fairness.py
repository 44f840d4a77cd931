"""The page of fairness: what a tenant got beside what its weight asks for."""

from __future__ import annotations

from collections import Counter

from orchestrator.store.fairness import Standing
from orchestrator.store.figures import bucket_of
from orchestrator.web.dashboard.fairness import Row
from tests.web.shown import page_of


def test_a_share_stands_beside_the_fair_one_and_waits_are_told_since_jobs_were_stored() -> None:
    tenant = Standing(
        id="t",
        name="acme",
        weight=1,
        max_in_flight=None,
        max_queued=None,
        stages=Counter(),
        claimed=7,
        waits=Counter({bucket_of(1_000): 7}),
    )
    page = page_of("fairness", rows=[Row(tenant, share=0.993, fair=0.14, p50=1_000, p95=1_000)])
    assert '<b>99.3 %</b><span class="soft">, fair 14 %; 7 sent</span>' in page
    assert "95 % sent after" in page
    assert "sent so long after they were stored" in page
    assert "Wait" not in page
