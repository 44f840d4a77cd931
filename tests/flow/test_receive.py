"""How lines are received: beside other work, within their limits, and by one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from orchestrator.flow.lines import NewBatch
from orchestrator.flow.receive import check
from orchestrator.runtime import Runtime
from tests.factories import TENANT

MB = 1024 * 1024
MODEL = "studio/paint"


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
