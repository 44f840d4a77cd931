"""Steps of batches, their counters, their holds and their ends, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.evidence import Source
from orchestrator.job import Phase
from orchestrator.store import batch_lines, batch_steps, batch_uploads, batches, quotas
from orchestrator.store.batch_lines import ReceiverGone, Rejected
from orchestrator.store.batch_steps import StepTaken
from orchestrator.store.store import Store
from tests.factories import ACCOUNT, T0, TENANT, VIDEO_LANE, make_creation, make_id, make_job
from tests.store import decisions
from tests.store.bulk import (
    RECEIVER,
    assert_counted,
    batch_of,
    finish_steps,
    give,
    jobs_of,
    make_batch,
    next_step,
    opened,
    phases,
    receiving,
    running,
    take,
)
from tests.store.claiming import claim
from tests.store.rows import count, counts, execute, select


async def test_two_workers_that_take_the_same_step_do_it_once(store: Store) -> None:
    batch = await opened(store, 250)
    step = await next_step(store)
    took = await asyncio.gather(take(store, step), take(store, step), return_exceptions=True)
    assert [len(one) for one in took if isinstance(one, list)] == [batch_steps.AT_A_TIME]
    assert [type(one) for one in took if not isinstance(one, list)] == [StepTaken]
    events = await select(store, "SELECT job_id FROM events WHERE verb = 'release'")
    assert len(events) == len(set(events)) == batch_steps.AT_A_TIME
    await finish_steps(store)
    assert await phases(store, batch) == {"ready"}
    await assert_counted(store, batch)


async def test_a_pause_while_it_is_released_holds_what_was_released(store: Store) -> None:
    batch = await opened(store, 250)
    step = await next_step(store)
    await take(store, step)
    late = await next_step(store)
    assert await give(store, batch, batches.PAUSE)
    with pytest.raises(StepTaken):
        await take(store, late)
    await finish_steps(store)
    assert await phases(store, batch) == {"held"}
    assert await give(store, batch, batches.RESUME)
    await finish_steps(store)
    assert await phases(store, batch) == {"ready"}
    await assert_counted(store, batch)


async def test_a_claim_holds_what_its_pause_has_not_reached(store: Store) -> None:
    batch = await running(store, 3)
    assert await give(store, batch, batches.PAUSE)
    assert await claim(store) == []
    assert await phases(store, batch) == {"held"}
    await assert_counted(store, batch)
    await give(store, batch, batches.RESUME)
    await finish_steps(store)
    assert len(await claim(store)) == 3
    await assert_counted(store, batch)


async def test_a_claim_ends_what_its_cancellation_has_not_reached(store: Store) -> None:
    batch = await running(store, 3, webhook="https://user.example/hook")
    assert await give(store, batch, batches.CANCEL)
    assert await claim(store) == []
    now = await batch_of(store, batch)
    assert (now.failed, now.public_state, now.finished_at) == (3, "cancelled", T0)
    assert {str(job.reason) for job in await jobs_of(store, batch)} == {"cancelled"}
    assert await select(store, "SELECT id FROM deliveries") == [(f"{batch.id}-1",)]
    await finish_steps(store)
    await assert_counted(store, batch)
    assert await count(store, "deliveries") == 1


async def test_what_is_cancelled_at_the_provider_is_marked_and_ends_as_it_ends(store: Store) -> None:
    batch = await running(store, 3)
    (sent,) = await claim(store, slots=1)
    await give(store, batch, batches.CANCEL)
    await finish_steps(store)
    marked, *others = await jobs_of(store, batch)
    assert (marked.id, marked.phase, marked.cancel_requested_at) == (sent.job.id, "submitting", T0)
    assert {job.phase for job in others} == {Phase.FAILED}
    assert (await batch_of(store, batch)).public_state == "cancelling"
    await store.change(marked.id, decisions.complete, source=Source.ANSWER)
    now = await batch_of(store, batch)
    assert (now.public_state, now.completed, now.failed) == ("cancelled", 1, 2)


async def test_the_counters_follow_moves_that_happen_at_once(store: Store) -> None:
    batch = await running(store, 60)
    claimed = await claim(store, slots=40)
    moves = [
        store.change(one.job.id, decisions.complete if place % 2 else decisions.fail, source=Source.ANSWER)
        for place, one in enumerate(claimed)
    ]
    await asyncio.gather(
        *moves, claim(store, slots=10), give(store, batch, batches.PAUSE), finish_steps(store)
    )
    await finish_steps(store)
    await assert_counted(store, batch)
    now = await batch_of(store, batch)
    assert (now.completed, now.failed, now.finished_at) == (20, 20, None)


async def test_no_job_is_claimed_after_its_deadline_even_before_the_sweep(store: Store) -> None:
    await running(store, 1, job={"start_by": T0 + 5})
    assert await claim(store, now=T0 + 5) == []
    assert len(await claim(store, now=T0 + 4)) == 1


async def test_a_tenant_has_no_more_at_the_provider_than_it_may(store: Store) -> None:
    await execute(store, "UPDATE tenants SET max_in_flight = 3")
    await running(store, 10)
    assert len(await claim(store, slots=2)) == 2
    first = await claim(store)
    assert len(first) == 1
    assert await claim(store) == []
    assert await store.read(quotas.room_in_flight, account_id=ACCOUNT, open_from=0) == {TENANT: 0}
    await store.change(first[0].job.id, decisions.complete, source=Source.ANSWER)
    assert len(await claim(store)) == 1


async def test_the_limit_of_a_tenant_holds_over_its_lanes_and_priorities(store: Store) -> None:
    await execute(store, "UPDATE tenants SET max_in_flight = 3")
    await running(store, 5, job={"priority": 1})
    await running(store, 5, job={"priority": 2})
    await running(store, 5, job={"lane_id": VIDEO_LANE, "media": "video"})
    assert len(await claim(store)) == 3


async def test_held_lines_count_for_the_queue_of_a_tenant(store: Store) -> None:
    await execute(store, "UPDATE tenants SET max_queued = 5")
    await receiving(store, 4)
    assert await store.read(quotas.room_in_queue, tenants=[TENANT]) == {TENANT: 1}
    assert not (await store.create(make_creation())).is_full
    assert (await store.create(make_creation())).is_full


async def test_what_is_given_up_is_deleted_in_steps_and_leaves_no_row(store: Store) -> None:
    empty = await counts(store)
    batch = await receiving(store, 450)
    told = [Rejected(line, None, "", "bad") for line in range(500, 530)]
    await store.write(
        batch_lines.insert,
        batch_id=batch.id,
        receiver=RECEIVER,
        receiver_until=T0,
        accepted=[],
        rejected=told,
    )
    await store.write(batch_uploads.give_up, batch_id=batch.id, receiver="another")
    assert (await batch_of(store, batch)).state == "receiving"
    await store.write(batch_uploads.give_up, batch_id=batch.id, receiver=RECEIVER)
    await take(store, await next_step(store))
    assert await count(store, "jobs") == 450 - batch_steps.AT_A_TIME
    await finish_steps(store)
    assert await counts(store) == empty
    assert [await count(store, name) for name in ("batches", "rejected_lines", "batch_failures")] == [0, 0, 0]


async def test_lines_of_a_request_that_was_taken_over_are_not_stored(store: Store) -> None:
    batch = await receiving(store, 1, idempotency_key="k")
    taker = make_batch(idempotency_key="k", created_at=T0 + 60_000, receiver=make_id())
    assert (await store.write(batch_uploads.start, new=taker)).receiver == taker.receiver
    with pytest.raises(ReceiverGone):
        await store.write(
            batch_lines.insert,
            batch_id=batch.id,
            receiver=RECEIVER,
            receiver_until=T0,
            accepted=[make_creation(make_job(Phase.HELD, batch_id=batch.id, line=2))],
            rejected=[],
        )
    assert len(await jobs_of(store, batch)) == 1
    await assert_counted(store, batch)


async def test_two_requests_with_one_key_begin_one_batch(store: Store) -> None:
    new = [make_batch(idempotency_key="k", receiver=make_id()) for _ in range(5)]
    started = await asyncio.gather(*(store.write(batch_uploads.start, new=one) for one in new))
    assert len({one.id for one in started}) == 1
    mine = [one for one, asked in zip(started, new, strict=True) if one.receiver == asked.receiver]
    assert len(mine) == 1


async def test_a_key_stands_for_its_batch_at_least_until_that_has_ended(store: Store) -> None:
    batch = await running(store, 1, idempotency_key="k")
    await store.write(batches.forget_keys, before=batch.created_at + 1)
    assert await store.read(batches.find_by_key, tenant_id=TENANT, key="k") == batch
    await give(store, batch, batches.CANCEL)
    await finish_steps(store)
    await store.write(batches.forget_keys, before=batch.created_at)
    assert await store.read(batches.find_by_key, tenant_id=TENANT, key="k") is not None
    await store.write(batches.forget_keys, before=batch.created_at + 1)
    assert await store.read(batches.find_by_key, tenant_id=TENANT, key="k") is None


async def test_an_upload_that_nobody_goes_on_with_is_given_up_after_its_time(store: Store) -> None:
    batch = await receiving(store, 2, idempotency_key="k")
    await store.write(batch_uploads.discard_abandoned, begun_before=T0 + 1, now=T0)
    assert (await batch_of(store, batch)).state == "receiving"
    await store.write(batch_uploads.leave, batch_id=batch.id, receiver=RECEIVER)
    await store.write(batch_uploads.discard_abandoned, begun_before=T0, now=T0)
    assert (await batch_of(store, batch)).state == "receiving"
    await store.write(batch_uploads.discard_abandoned, begun_before=T0 + 1, now=T0)
    assert await store.read(batches.find, tenant_id=TENANT, batch_id=batch.id) is None
    again = await store.write(batch_uploads.start, new=make_batch(idempotency_key="k"))
    assert again.id != batch.id
    await finish_steps(store)
    assert await count(store, "jobs") == 0


async def test_an_upload_that_nobody_can_go_on_with_is_given_up_with_its_request(store: Store) -> None:
    """Without a key; the server that received it was killed."""
    batch = await receiving(store, 2)
    await store.write(batch_uploads.discard_abandoned, begun_before=T0, now=T0)
    assert (await batch_of(store, batch)).state == "receiving"
    await store.write(batch_uploads.discard_abandoned, begun_before=T0, now=T0 + 60_001)
    await finish_steps(store)
    assert await count(store, "jobs") == 0


async def test_a_line_that_is_sent_again_by_hand_waits_for_its_batch(store: Store) -> None:
    batch = await receiving(store, 3)
    first, second, _ = await jobs_of(store, batch)
    for one in (first, second):
        await store.change(one.id, decisions.fail, source=Source.WORKER)
        await store.change(one.id, decisions.redrive, source="operator")
    assert await claim(store) == []
    assert await phases(store, batch) == {"held"}
    await store.write(
        batch_uploads.open_received, batch_id=batch.id, receiver=RECEIVER, body_hash="1", now=T0
    )
    await finish_steps(store)
    assert len(await claim(store)) == 3
    await assert_counted(store, batch)


async def test_a_line_that_is_sent_again_by_hand_ends_with_its_upload(store: Store) -> None:
    batch = await receiving(store, 1)
    (job,) = await jobs_of(store, batch)
    await store.change(job.id, decisions.fail, source=Source.WORKER)
    await store.change(job.id, decisions.redrive, source="operator")
    assert await give(store, batch, batches.DISCARD)
    assert await claim(store) == []
    assert await phases(store, batch) == {"failed"}
    await finish_steps(store)
    assert await count(store, "jobs") == 0


async def test_what_is_sent_again_of_a_batch_that_ended_while_it_was_paused_is_sent(store: Store) -> None:
    batch = await running(store, 2)
    both = await claim(store)
    assert await give(store, batch, batches.PAUSE)
    await finish_steps(store)
    for one in both:
        await store.change(one.job.id, decisions.fail, source=Source.ANSWER)
    await store.change(both[0].job.id, decisions.redrive, source="client")
    assert [one.job.id for one in await claim(store)] == [both[0].job.id]
    assert (await batch_of(store, batch)).public_state == "running"


async def test_lines_that_expired_before_the_batch_was_opened_may_have_ended_it(store: Store) -> None:
    batch = await receiving(store, 2, webhook="https://user.example/hook")
    for job in await jobs_of(store, batch):
        await store.change(job.id, decisions.fail, source=Source.WORKER)
    assert (await batch_of(store, batch)).finished_at is None
    found = await store.write(
        batch_uploads.open_received, batch_id=batch.id, receiver=RECEIVER, body_hash="1", now=T0
    )
    assert found is not None
    assert (found.public_state, found.failed) == ("completed", 2)
    assert await count(store, "deliveries") == 1
    await finish_steps(store)
    await assert_counted(store, batch)
