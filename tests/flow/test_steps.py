"""Steps of batches and of actions: one that cannot be done keeps no other from being done."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.flow import actions as flow_actions
from orchestrator.flow import steps
from orchestrator.job import Phase
from orchestrator.runtime import Runtime
from orchestrator.store import action_steps, actions, batch_steps
from orchestrator.store.actions import Action, Matched
from orchestrator.store.batch_steps import Step
from orchestrator.store.trouble import TookTooLong
from tests.factories import TENANT, stored_job
from tests.store.bulk import opened, phases
from tests.store.rows import select

FAILURES = pytest.mark.parametrize(
    "failure", [ValueError("it has a defect"), TookTooLong(cause="a row is locked")], ids=["defect", "lock"]
)


@FAILURES
async def test_a_batch_whose_step_fails_keeps_no_younger_one_waiting(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    both = [await opened(runtime.store, 1) for _ in range(2)]
    older, younger = sorted(both, key=lambda batch: batch.id)
    take = batch_steps.take

    def take_or_raise(connection: Any, *, step: Step, **given: Any) -> Any:
        if step.batch_id == older.id:
            raise failure
        return take(connection, step=step, **given)

    monkeypatch.setattr(batch_steps, "take", take_or_raise)
    assert await steps.take_steps(runtime)
    assert await phases(runtime.store, younger) == {"ready"}
    assert await phases(runtime.store, older) == {"held"}
    while await steps.take_steps(runtime):
        pass  # at last nothing is left that can be done


@FAILURES
async def test_an_action_whose_step_fails_keeps_no_younger_one_waiting(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    both = [await dismissing(runtime) for _ in range(2)]
    older, younger = await runtime.store.read(actions.due, now=runtime.clock.now(), most=9)
    assert {older.id, younger.id} == {action.id for action in both}
    take = action_steps.take

    def take_or_raise(connection: Any, *, action: Action, **given: Any) -> Any:
        if action.id == older.id:
            raise failure
        return take(connection, action=action, **given)

    monkeypatch.setattr(action_steps, "take", take_or_raise)
    assert await flow_actions.take_steps(runtime)
    assert not await flow_actions.take_steps(runtime)
    states = dict(tuple(row) for row in await select(runtime.store, "SELECT id, state FROM actions"))
    assert states == {older.id: "running", younger.id: "finished"}


async def dismissing(runtime: Runtime) -> Action:
    job = await stored_job(runtime.store, Phase.FAILED)
    new = flow_actions.NewAction(
        tenant_id=TENANT, owner_id=TENANT, actor="k", verb="dismiss", matched=Matched(ids=(job.id,))
    )
    return await flow_actions.order(runtime, new)
