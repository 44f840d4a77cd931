"""The account's limits hold, and those who share it get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from orchestrator.ids import new_api_key
from tests.e2e.invariants import check_invariants
from tests.e2e.program import until
from tests.e2e.stack import Stack, marked, up_stack

SLOTS = 3


@pytest.fixture
async def narrow() -> AsyncIterator[Stack]:
    """An account that may have three tasks at a time."""
    async with up_stack(WAVESPEED_MAX_IN_FLIGHT=str(SLOTS)) as stack:
        yield stack
        await check_invariants(stack)


async def test_never_more_tasks_are_open_than_the_account_may_have(narrow: Stack) -> None:
    ids = [await narrow.created(marked("hold")) for _ in range(8)]
    finished = 0
    while finished < len(ids):
        expected = min(finished + SLOTS, len(ids))
        await until(partial(has_tasks, narrow, expected), what=f"{expected} tasks")
        open_tasks = [task for task in await narrow.tasks() if task["status"] == "processing"]
        assert len(open_tasks) <= SLOTS
        await narrow.control("finish", id=open_tasks[0]["id"])
        finished += 1
    await asyncio.gather(*(narrow.ended(job_id) for job_id in ids))
    stats = (await narrow.provider.get("/control/stats")).json()
    assert stats["most_open"] == SLOTS


async def has_tasks(stack: Stack, count: int) -> bool:
    return len(await stack.tasks()) == count


async def test_another_tenants_single_job_passes_a_long_queue(narrow: Stack) -> None:
    await narrow.ledger.pause_lanes()
    queue = [await narrow.created(marked("duration=0.1")) for _ in range(30)]
    key = new_api_key()
    await narrow.ledger.add_tenant(key)
    theirs = await narrow.created("just one", headers={"authorization": f"Bearer {key}"})
    await narrow.ledger.calm_lanes()
    await asyncio.gather(*(narrow.ended(job_id) for job_id in queue))
    order = [task["webhook"].split("/")[-3] for task in await narrow.tasks()]
    assert order.index(theirs) < 2 * SLOTS


async def test_a_clock_that_ran_ahead_for_a_moment_stops_no_lane(narrow: Stack) -> None:
    await narrow.ledger.change("UPDATE lanes SET tokens = 0, tokens_at = tokens_at + 400000")
    await narrow.ended(await narrow.created())


async def test_submissions_keep_their_rate_from_the_first_on() -> None:
    per_minute, burst = 120, 6
    per_s = (per_minute - burst) / 65
    async with up_stack(WAVESPEED_PER_MINUTE=str(per_minute)) as stack:
        ids = [await stack.created() for _ in range(12)]
        await asyncio.gather(*(stack.ended(job_id) for job_id in ids))
        sent_ms = [task["created_ms"] for task in await stack.tasks()]
        await check_invariants(stack)
    for number, at in enumerate(sent_ms, start=1):
        allowed = burst + per_s * (at - sent_ms[0]) / 1_000
        assert number <= allowed + 1, f"{number} tasks after {at - sent_ms[0]} ms"
