"""Steps of batches: one that cannot be done keeps no other from being done."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.flow import steps
from orchestrator.runtime import Runtime
from orchestrator.store import batch_steps
from orchestrator.store.batch_steps import Step
from tests.store.bulk import opened, phases


async def test_a_batch_whose_step_fails_keeps_no_younger_one_waiting(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [await opened(runtime.store, 1) for _ in range(2)]
    older, younger = sorted(both, key=lambda batch: batch.id)
    take = batch_steps.take

    def take_or_raise(connection: Any, *, step: Step, **given: Any) -> Any:
        if step.batch_id == older.id:
            raise ValueError("this batch has a defect")
        return take(connection, step=step, **given)

    monkeypatch.setattr(batch_steps, "take", take_or_raise)
    assert await steps.take_steps(runtime)
    assert await phases(runtime.store, younger) == {"ready"}
    assert await phases(runtime.store, older) == {"held"}
    while await steps.take_steps(runtime):
        pass  # at last nothing is left that can be done
