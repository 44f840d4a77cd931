"""The tables refuse rows that no job can be in, whoever writes them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.job import Phase, Reason
from orchestrator.store.store import Store
from orchestrator.store.trouble import RowRefused
from tests.factories import T0, add_attempts, add_jobs, make_attempt, make_job, stored_job
from tests.store.rows import execute

IMPOSSIBLE: list[tuple[Phase, dict[str, Any]]] = [
    (Phase.COMPLETED, {"finished_at": None}),
    (Phase.FAILED, {"finished_at": None}),
    (Phase.FAILED, {"reason": None}),
    (Phase.COMPLETED, {"reason": Reason.REJECTED}),
    (Phase.READY, {"reason": Reason.REJECTED}),
    (Phase.ACCEPTED, {"finished_at": T0}),
    (Phase.SUBMITTING, {"lease_owner": None}),
    (Phase.IN_DOUBT, {"lease_owner": "worker-1"}),
    (Phase.READY, {"phase": "asleep"}),
    (Phase.READY, {"tenant_id": None}),
]


@pytest.mark.parametrize(("phase", "changes"), IMPOSSIBLE)
async def test_an_impossible_job_is_refused(store: Store, phase: Phase, changes: dict[str, Any]) -> None:
    with pytest.raises(RowRefused):
        await store.write(add_jobs, jobs=[replace(make_job(phase), **changes)])


@pytest.mark.parametrize("phase", list(Phase))
async def test_every_phase_can_be_stored(store: Store, phase: Phase) -> None:
    await stored_job(store, phase)


async def test_an_attempt_that_has_ended_is_not_asked_about(store: Store) -> None:
    ended = make_attempt(make_job(), ended_at=T0, check_at=T0)
    with pytest.raises(RowRefused):
        await store.write(add_attempts, attempts=[ended])


async def test_an_id_of_the_provider_belongs_to_one_attempt_of_an_account(store: Store) -> None:
    first, second = (make_attempt(make_job(), provider_id="task-1") for _ in range(2))
    await store.write(add_attempts, attempts=[first, replace(second, account_id="another")])
    with pytest.raises(RowRefused):
        await store.write(add_attempts, attempts=[replace(second, number=2)])


async def test_many_attempts_may_have_no_id_yet(store: Store) -> None:
    await store.write(add_attempts, attempts=[make_attempt(make_job()) for _ in range(3)])


@pytest.mark.parametrize(
    ("state", "due_at"), [("pending", None), ("delivered", T0), ("dead", T0), ("lost", None)]
)
async def test_an_impossible_delivery_is_refused(store: Store, state: str, due_at: int | None) -> None:
    with pytest.raises(RowRefused):
        await execute(
            store,
            "INSERT INTO deliveries (id, job_id, tenant_id, url, state, created_at, due_at)"
            " VALUES ('a', 'b', 'c', 'd', :state, 1, :due_at)",
            state=state,
            due_at=due_at,
        )
