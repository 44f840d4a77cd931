"""Uploads of batches that are repeated, break off, come twice at once, or lose their server on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.e2e import bulk
from tests.e2e.bulk import BATCHES, begin_upload, break_off, finished, jsonl, line, lines_of, send, sent
from tests.e2e.program import until
from tests.e2e.stack import FLUX, Json, Stack, data_of

COUNT = 450
STORED = 200


async def broken_upload(stack: Stack, lines: Sequence[Json | str], key: str, mode: str = "atomic") -> str:
    """The id of a batch of which some lines are stored, and which nobody sends any more."""
    writer = await begin_upload(stack, jsonl(lines[:320]) + b'{"custom', key=key, mode=mode, length=10**6)
    batch_id = await bulk.until_stored(stack, key, STORED)
    await break_off(writer)
    await bulk.until_left(stack)
    return batch_id


async def test_the_same_again_is_the_same_batch_and_makes_no_second_job(stack: Stack) -> None:
    lines = [*lines_of(3), {"input": 5}]
    first = await send(stack, lines, key="again", mode="partial")
    second = await send(stack, lines, key="again", mode="partial")
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    one, same = data_of(first), data_of(second)
    assert (same["id"], same["total"], same["rejected_lines"]) == (one["id"], 3, 1)
    assert same["rejected"] == one["rejected"] != []
    assert len(await bulk.rows_of(stack, one["id"])) == 3
    await finished(stack, one["id"])


async def test_a_key_of_another_body_or_other_parameters_is_refused(stack: Stack) -> None:
    lines = lines_of(2)
    batch = await sent(stack, lines, key="taken")
    assert (await send(stack, lines[:1], key="taken")).status_code == 409
    assert (await send(stack, lines, key="taken", priority="1")).status_code == 409
    as_document = await stack.http.post(
        BATCHES, json=lines, params={"model": FLUX}, headers={"idempotency-key": "taken"}
    )
    assert as_document.status_code == 409
    await finished(stack, batch["id"])


async def test_another_document_under_the_key_of_one_is_refused(stack: Stack) -> None:
    document = {"model": FLUX, "name": "one", "inputs": [line()["input"]]}
    headers = {"idempotency-key": "document"}
    batch = data_of(await stack.http.post(BATCHES, json=document, headers=headers))
    again = await stack.http.post(BATCHES, json=document, headers=headers)
    assert (data_of(again)["id"], again.headers["idempotent-replayed"]) == (batch["id"], "true")
    assert (
        await stack.http.post(BATCHES, json=document | {"name": "two"}, headers=headers)
    ).status_code == 409
    await finished(stack, batch["id"])


async def test_a_broken_upload_sends_nothing_and_is_gone_on_with(stack: Stack) -> None:
    lines = lines_of(COUNT)
    batch_id = await broken_upload(stack, lines, "broken")
    rows = await bulk.rows_of(stack, batch_id)
    assert {row["phase"] for row in rows} == {"held"}
    assert (await bulk.batch_of(stack, batch_id))["state"] == "receiving"
    batch = await sent(stack, lines, key="broken")
    assert (batch["id"], batch["total"]) == (batch_id, COUNT)
    after = await bulk.rows_of(stack, batch_id)
    assert [row["id"] for row in after[: len(rows)]] == [row["id"] for row in rows]
    assert [row["line"] for row in after] == list(range(1, COUNT + 1))
    ended = await finished(stack, batch_id)
    assert ended["counts"]["completed"] == COUNT
    assert [one["input"] for one in await bulk.results(stack, batch_id, include_inputs="true")] == [
        one["input"] for one in lines
    ]


@pytest.mark.parametrize("change", ["another input", "no line", "a bad line", "too few lines"])
@pytest.mark.parametrize("mode", ["atomic", "partial"])
async def test_a_line_that_differs_from_the_stored_one_is_refused_and_spoils_nothing(
    stack: Stack, change: str, mode: str
) -> None:
    key = f"{change} {mode}"
    lines = lines_of(COUNT)
    batch_id = await broken_upload(stack, lines, key, mode)
    other: list[Json | str] = [*lines]
    put: dict[str, Json | str] = {"another input": line(), "no line": "", "a bad line": "{"}
    if change == "too few lines":
        del other[50:]
    else:
        other[4] = put[change]
    answer = await send(stack, other, key=key, mode=mode)
    assert answer.status_code == 409, answer.text
    assert "this key" in answer.json()["message"]
    batch = await sent(stack, lines, key=key, mode=mode)
    assert (batch["id"], batch["total"], batch["rejected_lines"]) == (batch_id, COUNT, 0)
    await finished(stack, batch_id)


async def test_a_line_that_was_bad_and_is_good_when_sent_again_is_refused(stack: Stack) -> None:
    lines: list[Json | str] = [*lines_of(COUNT)]
    bad = [*lines]
    bad[4] = "{"
    batch_id = await broken_upload(stack, bad, "mended", "partial")
    answer = await send(stack, lines, key="mended", mode="partial")
    assert answer.status_code == 409, answer.text
    batch = await sent(stack, bad, key="mended", mode="partial")
    assert (batch["id"], batch["total"], batch["rejected_lines"]) == (batch_id, COUNT - 1, 1)
    await finished(stack, batch_id)


async def test_two_uploads_at_once_with_one_key_are_one_batch(stack: Stack) -> None:
    lines = lines_of(COUNT)
    before = await bulk.stored_batches(stack)
    answers = await asyncio.gather(*(send(stack, lines, key="twice") for _ in range(4)))
    assert {one.status_code for one in answers} <= {200, 409}
    ids = {data_of(one)["id"] for one in answers if one.status_code == 200}
    (batch_id,) = ids
    after = await bulk.stored_batches(stack)
    assert {one: after[one] for one in after.keys() - before.keys()} == {batch_id: COUNT}
    await finished(stack, batch_id)


async def test_while_a_batch_is_sent_another_request_for_it_is_refused(stack: Stack) -> None:
    lines = lines_of(COUNT)
    writer = await begin_upload(stack, jsonl(lines[:320]), key="busy", length=10**6)
    await bulk.until_stored(stack, "busy", STORED)
    answer = await send(stack, lines, key="busy")
    assert answer.status_code == 409
    assert "right now" in answer.json()["message"]
    await break_off(writer)
    await bulk.until_left(stack)
    await finished(stack, (await sent(stack, lines, key="busy"))["id"])


async def test_without_a_key_a_broken_upload_leaves_nothing(stack: Stack) -> None:
    jobs = await stack.ledger.count_jobs()
    writer = await begin_upload(stack, jsonl(lines_of(320)), length=10**6)

    async def are_stored() -> bool:
        return await stack.ledger.count_jobs() >= jobs + STORED

    await until(are_stored, what="lines to be stored")
    await break_off(writer)

    async def are_gone() -> bool:
        left = await stack.ledger.one(
            "SELECT count(*) FROM batches WHERE state IN ('receiving', 'discarded')"
        )
        return not left and await stack.ledger.count_jobs() == jobs

    await until(are_gone, what="all of it to be deleted")


async def test_a_batch_that_is_cancelled_while_it_is_sent_is_gone(stack: Stack) -> None:
    writer = await begin_upload(stack, jsonl(lines_of(320)), key="given up", length=10**6)
    batch_id = await bulk.until_stored(stack, "given up", STORED)
    assert (await bulk.order(stack, batch_id, "cancel"))["state"] == "cancelled"

    async def is_gone() -> bool:
        return not await stack.ledger.rows("SELECT id FROM batches WHERE id = :id", id=batch_id)

    await until(is_gone, what="all of it to be deleted")
    await break_off(writer)
    assert not await bulk.rows_of(stack, batch_id)


@pytest.mark.parametrize("point", ["batch_lines_stored:2", "batch_opened", "batch_step_taken:2"])
async def test_a_server_killed_at_a_crash_point_goes_on_with_the_same_batch(
    own_stack: Stack, point: str
) -> None:
    stack = own_stack
    await stack.up.stop()
    await stack.up.start(ORCHESTRATOR_CRASHPOINT=point)
    lines = lines_of(COUNT)
    sending = asyncio.create_task(send(stack, lines, key="crash"))
    assert await stack.up.ends() == -9
    await asyncio.gather(sending, return_exceptions=True)
    (known,) = await bulk.stored_batches(stack)
    await stack.up.start()
    batch = await sent(stack, lines, key="crash")
    assert (batch["id"], batch["total"]) == (known, COUNT)
    ended = await bulk.hurried(stack, batch["id"])
    assert ended["counts"]["completed"] == COUNT
    assert len(await stack.tasks()) == COUNT


async def test_a_server_told_to_stop_leaves_an_upload_to_be_gone_on_with(own_stack: Stack) -> None:
    stack = own_stack
    lines = lines_of(COUNT)
    writer = await begin_upload(stack, jsonl(lines[:320]), key="stopped", length=10**6)
    batch_id = await bulk.until_stored(stack, "stopped", STORED)
    assert await stack.up.stop() < 5
    await break_off(writer)
    assert await stack.ledger.one("SELECT receiver FROM batches") is None
    await stack.up.start()
    batch = await sent(stack, lines, key="stopped")
    assert (batch["id"], batch["total"]) == (batch_id, COUNT)
    await finished(stack, batch_id)
