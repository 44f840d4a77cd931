"""Retries of batches: what they reach, how they meet other orders, and that each ends the batch once."""

from __future__ import annotations

import pytest

from orchestrator.evidence import Source
from orchestrator.store import batch_steps, batches
from orchestrator.store.batch_steps import StepTaken
from orchestrator.store.batches import Batch
from orchestrator.store.store import Store
from tests.store import decisions
from tests.store.bulk import (
    assert_counted,
    batch_of,
    finish_steps,
    give,
    jobs_of,
    next_step,
    phases,
    running,
    take,
)
from tests.store.claiming import claim
from tests.store.rows import count, select


async def test_each_last_job_ends_its_batch_once_and_a_retry_opens_it_again(store: Store) -> None:
    batch = await running(store, 2, webhook="https://user.example/hook")
    for one in await claim(store):
        await store.change(one.job.id, decisions.fail, source=Source.ANSWER)
    assert (await batch_of(store, batch)).public_state == "completed"
    retried = await give(store, batch, batches.RETRY)
    assert retried is not None
    assert (retried.public_state, retried.has_ended) == ("running", False)
    await finish_steps(store)
    now = await batch_of(store, batch)
    assert (now.failed, now.processing, now.finished_at) == (0, 2, None)
    await assert_counted(store, batch)
    for job in await jobs_of(store, batch):
        await store.change(job.id, decisions.complete, source=Source.CALLBACK)
    assert (await batch_of(store, batch)).public_state == "completed"
    rows = await select(store, "SELECT id FROM deliveries ORDER BY id")
    assert rows == [(f"{batch.id}-1",), (f"{batch.id}-2",)]


async def test_a_retry_whose_first_jobs_end_before_the_others_are_reached_ends_the_batch_once(
    store: Store,
) -> None:
    count = batch_steps.AT_A_TIME + 1
    batch = await running(store, count, webhook="https://user.example/hook")
    for job in await jobs_of(store, batch):
        await store.change(job.id, decisions.fail, source=Source.WORKER)
    await give(store, batch, batches.RETRY)
    await take(store, await next_step(store))
    for one in (await jobs_of(store, batch))[:-1]:
        await store.change(one.id, decisions.complete, source=Source.CALLBACK)
    assert (await batch_of(store, batch)).public_state == "running"
    await finish_steps(store)
    await store.change((await jobs_of(store, batch))[-1].id, decisions.complete, source=Source.CALLBACK)
    now = await batch_of(store, batch)
    assert (now.public_state, now.completed) == ("completed", count)
    assert await count_ends(store) == 2


async def test_a_retry_all_of_whose_jobs_end_before_its_last_step_ends_the_batch(store: Store) -> None:
    count = batch_steps.AT_A_TIME
    batch = await running(store, count, webhook="https://user.example/hook")
    for job in await jobs_of(store, batch):
        await store.change(job.id, decisions.fail, source=Source.WORKER)
    await give(store, batch, batches.RETRY)
    await take(store, await next_step(store))
    for one in await jobs_of(store, batch):
        await store.change(one.id, decisions.complete, source=Source.CALLBACK)
    assert await count_ends(store) == 1
    await finish_steps(store)
    assert (await batch_of(store, batch)).public_state == "completed"
    assert await count_ends(store) == 2


async def test_a_retry_that_is_cancelled_before_its_last_step_ends_the_batch(store: Store) -> None:
    count = batch_steps.AT_A_TIME + 1
    batch = await running(store, count, webhook="https://user.example/hook")
    for job in await jobs_of(store, batch):
        await store.change(job.id, decisions.fail, source=Source.WORKER)
    await give(store, batch, batches.RETRY)
    await take(store, await next_step(store))
    for one in (await jobs_of(store, batch))[:-1]:
        await store.change(one.id, decisions.complete, source=Source.CALLBACK)
    assert await give(store, batch, batches.CANCEL)
    await finish_steps(store)
    now = await batch_of(store, batch)
    assert (now.public_state, now.completed, now.failed) == ("cancelled", count - 1, 1)
    assert await count_ends(store) == 2


async def half_retried(store: Store) -> Batch:
    """A batch of which a first step of a retry is done; one more is to come."""
    batch = await running(store, batch_steps.AT_A_TIME + 1)
    for job in await jobs_of(store, batch):
        await store.change(job.id, decisions.fail, source=Source.WORKER)
    await give(store, batch, batches.RETRY)
    await take(store, await next_step(store))
    return batch


async def test_a_pause_during_a_retry_holds_all_that_is_retried_and_sends_nothing(store: Store) -> None:
    batch = await half_retried(store)
    paused = await give(store, batch, batches.PAUSE)
    assert paused is not None
    assert paused.public_state == "paused"
    assert await claim(store) == []
    await finish_steps(store)
    assert await phases(store, batch) == {"held"}
    await assert_counted(store, batch)
    await give(store, batch, batches.RESUME)
    await finish_steps(store)
    assert await phases(store, batch) == {"ready"}
    await assert_counted(store, batch)


async def test_a_batch_paused_and_resumed_during_its_retry_leaves_no_job_held(store: Store) -> None:
    batch = await half_retried(store)
    await give(store, batch, batches.PAUSE)
    assert await claim(store) == []
    assert "held" in await phases(store, batch)
    assert await give(store, batch, batches.RESUME)
    await finish_steps(store)
    assert await phases(store, batch) == {"ready"}
    await assert_counted(store, batch)


async def test_a_step_of_an_earlier_retry_is_not_done_in_the_name_of_another(store: Store) -> None:
    batch = await running(store, 2)
    for job, decide in zip(
        await jobs_of(store, batch), (decisions.fail, decisions.fail_otherwise), strict=True
    ):
        await store.change(job.id, decide, source=Source.WORKER)
    one, other = [job.fingerprint for job in await jobs_of(store, batch)]
    await give(store, batch, batches.RETRY, fingerprint=one)
    late = await next_step(store)
    await finish_steps(store)
    await give(store, batch, batches.RETRY, fingerprint=other)
    with pytest.raises(StepTaken):
        await take(store, late)
    assert (await next_step(store)).fingerprint == other
    await finish_steps(store)
    assert await phases(store, batch) == {"ready"}


async def test_what_was_cancelled_is_retried_only_when_it_is_asked_for_by_name(
    store: Store,
) -> None:
    batch = await running(store, 2)
    await give(store, batch, batches.CANCEL)
    await finish_steps(store)
    assert await give(store, batch, batches.RETRY) is None
    assert (await batch_of(store, batch)).public_state == "cancelled"
    (kind,) = {job.fingerprint for job in await jobs_of(store, batch)}
    assert await give(store, batch, batches.RETRY, fingerprint=kind)
    await finish_steps(store)
    assert (await batch_of(store, batch)).created == 2
    await assert_counted(store, batch)


async def count_ends(store: Store) -> int:
    """How often the batch's webhook is told."""
    return await count(store, "deliveries")
