"""How lines are received: beside other work, within their limits, and by one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from sqlalchemy import Connection, text

from orchestrator.errors import Conflict, TooLarge
from orchestrator.flow.lines import NewBatch
from orchestrator.flow.receive import check, receive
from orchestrator.runtime import Runtime
from tests.factories import TENANT

MB = 1024 * 1024
MODEL = "wavespeed-ai/flux-dev"


class Lines:
    """A source of these lines, a piece at a time."""

    def __init__(self, *pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        before = 0
        for piece in self._pieces:
            yield list(enumerate(piece, start=before + 1))
            before += len(piece)

    def digest(self) -> str:
        return "of the body"


def line(**inputs: str) -> bytes:
    return msgspec.json.encode({"input": inputs})


def new_batch(**changes: object) -> NewBatch:
    return msgspec.structs.replace(NewBatch(tenant_id=TENANT, api_version="v3", model=MODEL), **changes)


async def test_what_all_lines_share_counts_in_the_length_of_each(runtime: Runtime) -> None:
    shared = new_batch(inputs={"negative_prompt": "x" * (5 * MB)})
    lines = Lines([line(prompt="x" * (5 * MB - 100)), line(prompt="x" * (5 * MB + 100))])
    found = await check(runtime, shared, lines)
    (rejected,) = found.rejected
    assert (found.total, rejected.line, rejected.field) == (2, 2, "input")
    assert "longer" in rejected.message


async def test_a_batch_whose_inputs_are_together_too_long_is_refused(runtime: Runtime) -> None:
    shared = new_batch(inputs={"prompt": "x" * (MB - 100)}, is_bare=True)
    assert (await check(runtime, shared, Lines([b"{}"] * 200))).rejected == []
    with pytest.raises(TooLarge, match="inputs of all lines"):
        await check(runtime, shared, Lines([b"{}"] * 201))


async def test_a_request_whose_batch_another_has_completed_meanwhile_is_told_so(runtime: Runtime) -> None:
    """Its lines are refused by the tables before its receiver's name is looked at."""
    new = new_batch(idempotency_key="k", request_hash="0" * 64)
    lines = [line(prompt=f"a lake, {number}") for number in range(300)]

    class Overtaken(Lines):
        async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
            before, after = [piece async for piece in super().pieces()]
            yield before
            await runtime.store.write(execute, statement="UPDATE batches SET receiver_until = 0")
            assert (await receive(runtime, new, Lines(lines))).batch.total == 300
            yield after

    with pytest.raises(Conflict, match="taken over"):
        await receive(runtime, new, Overtaken(lines[:150], lines[150:]))
    batch = (await receive(runtime, new, Lines(lines))).batch
    assert (batch.state, batch.total) == ("open", 300)


def execute(connection: Connection, *, statement: str) -> None:
    connection.execute(text(statement))


async def test_a_dry_run_lets_others_have_a_turn_after_each_megabyte_and_not_after_each_line(
    runtime: Runtime,
) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(others())
    found = await check(runtime, new_batch(), Lines([line(prompt="x" * (MB // 4))] * 40))
    beside.cancel()
    assert (found.total, found.rejected) == (40, [])
    assert 8 <= turns <= 12
