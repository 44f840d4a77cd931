"""Batches on PostgreSQL with an API and two workers that are processes of their own."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e import bulk
from tests.e2e.bulk import batch_when, finished, line, lines_of, order, send, sent
from tests.e2e.program import until
from tests.e2e.stack import Stack, data_of, marked

pytestmark = pytest.mark.xdist_group("split")
COUNT = 200


async def test_a_batch_is_paused_resumed_and_completed_by_two_workers(split: Stack) -> None:
    tenant = await bulk.new_tenant(split, max_in_flight=10)
    lines = [line(marked("duration=0.2")) for _ in range(COUNT)]
    batch = await sent(split, lines, headers=tenant)
    await batch_when(split, batch["id"], lambda now: now["counts"]["completed"] > 0, headers=tenant)
    assert (await order(split, batch["id"], "pause", tenant))["state"] == "paused"
    await bulk.steps_are_done(split, batch["id"])
    still = await batch_when(
        split, batch["id"], lambda now: now["counts"]["processing"] == 0, headers=tenant, within=40
    )
    assert 0 < still["counts"]["created"] < COUNT
    assert {row["phase"] for row in await bulk.rows_of(split, batch["id"])} == {"held", "completed"}
    await bulk.lift_limits(split)
    await order(split, batch["id"], "resume", tenant)
    ended = await finished(split, batch["id"], headers=tenant)
    assert ended["counts"]["completed"] == COUNT
    ids = {row["id"] for row in await bulk.rows_of(split, batch["id"])}
    paid = [job for task in await split.tasks() for job in ids if f"/{job}/" in task["webhook"]]
    assert sorted(paid) == sorted(ids)


async def test_batches_of_many_are_cancelled_and_retried_while_others_run(split: Stack) -> None:
    good, doomed, bad = await asyncio.gather(
        sent(split, lines_of(COUNT)),
        sent(split, [line(marked("duration=0.1")) for _ in range(COUNT)]),
        sent(split, [line(marked("refuse=400")) for _ in range(20)]),
    )
    await order(split, doomed["id"], "cancel")
    assert (await finished(split, bad["id"]))["counts"]["failed"] == 20
    assert (await order(split, bad["id"], "retry-failed"))["retrying"] == 20
    assert (await finished(split, good["id"]))["counts"]["completed"] == COUNT
    assert (await finished(split, bad["id"]))["counts"]["completed"] == 20
    assert (await finished(split, doomed["id"]))["state"] == "cancelled"


async def test_an_api_killed_in_an_upload_lets_it_be_gone_on_with(split: Stack) -> None:
    (serve,) = split.servers
    lines = lines_of(450)
    await serve.stop()
    await serve.start(ORCHESTRATOR_CRASHPOINT="batch_lines_stored:2")
    sending = asyncio.create_task(send(split, lines, key="killed"))
    assert await serve.ends() == -9
    await asyncio.gather(sending, return_exceptions=True)
    await serve.start()
    # Nobody can know that the request is dead before its time is over; that is soon.
    answer = await send(split, lines, key="killed")
    assert answer.status_code == 409

    async def is_taken() -> bool:
        nonlocal answer
        answer = await send(split, lines, key="killed")
        return answer.status_code != 409

    await until(is_taken, within=15, what="the killed request to be over")
    assert (await finished(split, data_of(answer)["id"]))["counts"]["completed"] == 450


async def test_an_upload_that_is_silent_for_long_is_not_taken_over(split: Stack) -> None:
    lines = lines_of(450)
    writer = await bulk.begin_upload(split, bulk.jsonl(lines[:320]), key="silent", length=10**6)
    batch_id = await bulk.until_stored(split, "silent", 200)
    kept_until = "SELECT receiver_until FROM batches WHERE id = :id"
    first = await split.ledger.one(kept_until, id=batch_id)

    async def is_renewed() -> bool:
        return bool(await split.ledger.one(kept_until, id=batch_id) > first)

    await until(is_renewed, within=10, what="the request to say that it still sends")
    assert (await send(split, lines, key="silent")).status_code == 409
    await bulk.break_off(writer)
    await bulk.until_left(split)
    await finished(split, (await sent(split, lines, key="silent"))["id"])


async def test_a_worker_killed_between_two_steps_leaves_them_to_the_other(split: Stack) -> None:
    doomed, other = split.workers
    await doomed.kill()
    await other.stop()
    await doomed.start(ORCHESTRATOR_CRASHPOINT="batch_step_taken")
    batch = await sent(split, lines_of(450))
    assert await doomed.ends() == -9
    released = [row for row in await bulk.rows_of(split, batch["id"]) if row["phase"] != "held"]
    assert len(released) == 200
    await other.start()
    ended = await finished(split, batch["id"], within=60)
    assert ended["counts"]["completed"] == 450
