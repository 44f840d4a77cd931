"""What a process rings for when a job has moved."""

from __future__ import annotations

import pytest

from orchestrator import lifecycle
from orchestrator.bell import Kind
from orchestrator.decision import Applied
from orchestrator.job import Phase
from orchestrator.runtime import Runtime
from tests.factories import T0, make_result, stored_job
from tests.store.rows import execute


@pytest.mark.parametrize(("limit", "rings"), [(None, []), (1, [Kind.SUBMIT])])
async def test_an_end_rings_for_the_next_job_of_a_tenant_that_may_have_only_so_many(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, limit: int | None, rings: list[Kind]
) -> None:
    await execute(runtime.store, "UPDATE tenants SET max_in_flight = :limit", limit=limit)
    await runtime.look_at_lanes()
    rung: list[Kind] = []
    monkeypatch.setattr(runtime.bell, "ring", rung.append)
    job = await stored_job(runtime.store, Phase.ACCEPTED)
    ended = lifecycle.complete(job, "done", result=make_result(), now=T0)
    runtime.announce(Applied(job=ended.after, note="completed", move=ended))
    assert rung == rings
