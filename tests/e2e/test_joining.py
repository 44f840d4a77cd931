"""Clients that give up a sync POST and send it again get one job, one paid task, and its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.e2e.program import until
from tests.e2e.stack import Stack, data_of, marked, split_stack
from tests.services.postgres import PostgresProcess


async def give_up_after(
    stack: Stack, prompt: str, seconds: float, params: dict[str, str] | None = None, *, is_sync: bool = True
) -> None:
    """Send the POST and go away before its answer, as old clients do after ten seconds."""
    sending = asyncio.create_task(stack.submit(prompt, params=params, enable_sync_mode=is_sync))
    await asyncio.wait([sending], timeout=seconds)
    assert not sending.done()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_six_posts_of_an_impatient_client_are_one_task_and_the_last_gets_the_result(
    stack: Stack,
) -> None:
    prompt = marked("duration=2")
    jobs = await stack.ledger.count_jobs()
    for _ in range(5):
        await give_up_after(stack, prompt, 0.3)
        await until(stack.ledger.count_unanswered, within=5, what="the lost answer to be noticed")
    last = await stack.submit(prompt, enable_sync_mode=True)
    assert last.headers["idempotent-joined"] == "true"
    assert data_of(last)["status"] == "completed"
    assert await stack.ledger.count_jobs() == jobs + 1
    assert len(await stack.tasks(data_of(last)["id"])) == 1


async def test_two_alike_that_were_both_answered_stay_two_jobs(stack: Stack) -> None:
    prompt = marked("duration=0.05")
    first, second = [await stack.submit(prompt, enable_sync_mode=True) for _ in range(2)]
    assert data_of(first)["id"] != data_of(second)["id"]
    assert "idempotent-joined" not in second.headers


async def test_a_job_with_a_webhook_is_never_joined(stack: Stack) -> None:
    prompt = marked("duration=1")
    jobs = await stack.ledger.count_jobs()
    webhook = {"webhook": "https://example.com/hook"}
    await give_up_after(stack, prompt, 0.3, webhook)
    again = await stack.submit(prompt, enable_sync_mode=True, params=webhook)
    assert "idempotent-joined" not in again.headers
    assert await stack.ledger.count_jobs() == jobs + 2


@pytest.mark.parametrize("is_sync", [False, True], ids=["async", "sync"])
async def test_who_gives_up_while_the_database_stands_still_pays_once(
    own_postgres: PostgresProcess, new_valkey_url: Callable[[], str], is_sync: bool
) -> None:
    async with split_stack(database_url=own_postgres.url, redis_url=new_valkey_url(), workers=1) as stack:
        await stack.ended(await stack.created())
        jobs, prompt = await stack.ledger.count_jobs(), marked("duration=0.2")
        with own_postgres.frozen():
            for _ in range(3):
                await give_up_after(stack, prompt, 1, is_sync=is_sync)
        last = await stack.submit(prompt, enable_sync_mode=is_sync)
        assert last.headers["idempotent-joined"] == "true"
        job = await stack.ended(data_of(last)["id"])
        assert job["phase"] == "completed"
        assert await stack.ledger.count_jobs() == jobs + 1
        assert len(await stack.tasks(job["id"])) == 1
