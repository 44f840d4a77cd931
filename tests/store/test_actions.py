"""Actions on many jobs, step by step: whom they touch, how fast, and that no step is done twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.flow.actions import decide_for, is_done
from orchestrator.job import Job, Phase, Reason
from orchestrator.store import action_steps, actions, audit
from orchestrator.store.action_steps import StepTaken
from orchestrator.store.actions import Action, Matched
from orchestrator.store.job_filter import JobFilter
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, add_tenant, make_id, stored_job
from tests.store.rows import count, job_of, select

DEAD = Matched(filter=JobFilter(is_dead=True))


async def ordered(store: Store, verb: str, matched: Matched, **changes: Any) -> Action:
    needed: dict[str, Any] = {
        "id": make_id(),
        "tenant_id": TENANT,
        "owner_id": TENANT,
        "actor": "somebody",
        "up_to": make_id(),
        "created_at": T0,
        "due_at": T0,
    }
    action: Action = await store.write(
        actions.insert, action=Action(verb=verb, matched=matched, **(needed | changes))
    )
    return action


async def stepped(store: Store, action: Action, *, now: int = T0) -> Action:
    """The action after its next step."""
    await store.write(
        action_steps.take, action=action, decide=decide_for(action, now), is_done=is_done, now=now
    )
    found = await store.read(actions.find, tenant_id=TENANT, action_id=action.id)
    assert found is not None
    return found


async def dead(store: Store, **changes: Any) -> Job:
    return await stored_job(store, Phase.FAILED, **({"fingerprint": "f" * 16} | changes))


async def test_a_filter_is_redriven_and_later_jobs_and_other_tenants_are_left_alone(store: Store) -> None:
    stranger = await store.write(add_tenant)
    mine, theirs = await dead(store), await dead(store, tenant_id=stranger)
    cancelled = await dead(store, reason=Reason.CANCELLED)
    action = await ordered(store, "redrive", DEAD)
    later = await dead(store)
    after = await stepped(store, action)
    assert (after.state, after.done, after.refused, after.finished_at) == ("finished", 1, 0, T0)
    assert (await job_of(store, mine.id)).phase == Phase.READY
    for job in (theirs, cancelled, later):
        assert (await job_of(store, job.id)).phase == Phase.FAILED
    (line,) = await store.read(audit.lines_about, subject=mine.id, most=9)
    assert (line.actor, line.action) == ("somebody", f"redrive (action {action.id})")


async def test_what_does_not_allow_it_is_counted_as_refused(store: Store) -> None:
    failed, ready = await dead(store), await stored_job(store)
    unknown = make_id()
    after = await stepped(store, await ordered(store, "redrive", Matched(ids=(failed.id, ready.id, unknown))))
    assert (after.state, after.done, after.refused) == ("finished", 1, 2)


async def test_cancel_dismiss_and_delete_do_what_they_do_to_one(store: Store) -> None:
    ready, failed, gone = await stored_job(store), await dead(store), await dead(store)
    await stepped(store, await ordered(store, "cancel", Matched(ids=(ready.id,))))
    await stepped(store, await ordered(store, "dismiss", Matched(ids=(failed.id,))))
    deleted = await stepped(store, await ordered(store, "delete", Matched(ids=(gone.id,))))
    assert (await job_of(store, ready.id)).reason == Reason.CANCELLED
    assert (await job_of(store, failed.id)).dismissed_at == T0
    assert (deleted.done, await count(store, "jobs")) == (1, 2)


async def test_a_step_is_done_once_and_none_after_a_stop(store: Store) -> None:
    jobs = [await dead(store) for _ in range(3)]
    action = await ordered(store, "dismiss", DEAD, per_minute=60)
    after = await stepped(store, action)
    assert (after.done, after.state) == (1, "running")
    with pytest.raises(StepTaken):
        await stepped(store, action)
    assert await store.write(actions.stop, action_id=action.id, now=T0)
    with pytest.raises(StepTaken):
        await stepped(store, after)
    assert not await store.write(actions.stop, action_id=action.id, now=T0)
    dismissed = [(await job_of(store, job.id)).dismissed_at for job in jobs]
    assert dismissed == [T0, None, None]


@pytest.mark.parametrize(
    ("per_minute", "at_once", "pause_ms"), [(6, 1, 10_000), (60, 1, 1_000), (240, 4, 1_000)]
)
async def test_a_rate_is_kept(store: Store, per_minute: int, at_once: int, pause_ms: int) -> None:
    for _ in range(6):
        await dead(store)
    action = await ordered(store, "redrive", DEAD, per_minute=per_minute)
    after = await stepped(store, action)
    assert (after.done, after.due_at) == (at_once, T0 + pause_ms)
    assert await store.read(actions.due, now=T0 + pause_ms - 1, most=9) == []
    assert await store.read(actions.due, now=T0 + pause_ms, most=9) == [after]


async def test_an_action_that_was_idle_does_not_make_up_for_all_of_it(store: Store) -> None:
    for _ in range(3):
        await dead(store)
    action = await ordered(store, "redrive", DEAD, per_minute=60)
    late = await stepped(store, action, now=T0 + 60_000)
    assert late.due_at == T0 + 60_000 - 2_000 + 1_000


async def test_a_job_that_changed_since_it_was_found_is_left_as_it_is(store: Store) -> None:
    job = await dead(store)
    action = await ordered(store, "dismiss", Matched(filter=JobFilter(fingerprint="f" * 16)))
    decide = decide_for(action, T0)
    assert decide(job, None).note == "dismissed"
    assert decide(replace(job, fingerprint="e" * 16), None).job is None


async def test_two_workers_never_do_one_step_twice(postgres_store: Store) -> None:
    store = postgres_store
    for _ in range(5):
        await dead(store)
    action = await ordered(store, "redrive", DEAD, per_minute=120)
    done = await asyncio.gather(*(stepped(store, action) for _ in range(6)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Action", *["StepTaken"] * 5]
    (after,) = await store.read(actions.newest, tenant_id=TENANT, before="", most=9)
    assert (after.done, after.refused) == (2, 0)
    redriven = await select(store, "SELECT count(*) FROM events WHERE verb = 'redrive'")
    assert redriven[0][0] == 2


async def test_old_actions_are_forgotten_and_running_ones_are_not(store: Store) -> None:
    running, ended = await ordered(store, "dismiss", DEAD), await ordered(store, "dismiss", DEAD)
    await stepped(store, ended)
    long_after = T0 * 2
    await store.write(actions.delete_old, ended_before=long_after)
    assert await store.read(actions.newest, tenant_id=TENANT, before="", most=9) == [running]


async def test_a_tenants_actions_are_its_own(store: Store) -> None:
    stranger = await store.write(add_tenant)
    action = await ordered(store, "dismiss", DEAD)
    assert await store.read(actions.find, tenant_id=stranger, action_id=action.id) is None
    assert await store.read(actions.newest, tenant_id=stranger, before="", most=9) == []
    assert await store.read(actions.running, tenant_id=None, most=9) == [action]
