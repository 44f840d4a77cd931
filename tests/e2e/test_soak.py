"""What takes minutes: real windows of 60 seconds, and thousands of jobs that must leave nothing behind.

`make soak` runs it, `make test` does not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis

from tests.e2e.invariants import check_invariants
from tests.e2e.program import until
from tests.e2e.stack import FLUX, PROVIDER_KEY, Stack, up_stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]

BRONZE_IMAGES_A_MINUTE = 10
BRONZE_OPEN = 3
ROUNDS, JOBS_A_ROUND, AT_ONCE = 12, 1_000, 32
# Caches fill, and each route is passed for the first time.
WARM_UP = 4


@pytest.fixture
async def bronze() -> AsyncIterator[Stack]:
    """The smallest account, whose limits the provider enforces."""
    async with up_stack(sandbox=("--tier", "bronze", "--duration", "0.1"), WAVESPEED_TIER="bronze") as stack:
        yield stack


async def answers(stack: Stack) -> dict[str, int]:
    """How often the provider answered submits with each status."""
    stats = (await stack.provider.get("/control/stats")).json()
    return {str(status): int(count) for status, count in stats["by_answer"].items()}


async def test_an_account_used_by_nobody_else_never_sees_a_429(bronze: Stack) -> None:
    count = 2 * BRONZE_IMAGES_A_MINUTE
    ids = [await bronze.created(f"a lake, {number}") for number in range(count)]
    ended = await asyncio.gather(*(bronze.ended(job_id, within=240) for job_id in ids))
    assert {job["phase"] for job in ended} == {"completed"}
    assert await answers(bronze) == {"200": count}
    stats = (await bronze.provider.get("/control/stats")).json()
    assert stats["most_submits_in_60_s"] <= BRONZE_IMAGES_A_MINUTE
    assert stats["most_open"] <= BRONZE_OPEN
    await check_invariants(bronze)


async def test_an_account_that_somebody_else_has_used_up_is_waited_for_without_haste(bronze: Stack) -> None:
    for number in range(BRONZE_IMAGES_A_MINUTE):
        theirs = await bronze.provider.post(
            f"/api/v3/{FLUX}",
            json={"prompt": f"theirs, {number}"},
            headers={"authorization": f"Bearer {PROVIDER_KEY}"},
        )
        assert theirs.status_code == 200
    ids = [await bronze.created(f"ours, {number}") for number in range(4)]
    ended = await asyncio.gather(*(bronze.ended(job_id, within=240) for job_id in ids))
    assert {(job["phase"], job["tries"]) for job in ended} == {("completed", 0)}
    refused = (await answers(bronze))["429"]
    assert 1 <= refused <= 12, "the rate is halved by each refusal, so a minute has room for few"


class Held(NamedTuple):
    """What the process holds: memory in MB, open files (connections too), keys in its Valkey."""

    memory_mb: float
    files: int
    keys: int


def held_by(stack: Stack) -> Held:
    assert stack.up.running is not None
    proc = Path(f"/proc/{stack.up.running.pid}")
    pages = int((proc / "statm").read_text().split()[1])
    with Redis(unix_socket_path=str(stack.folder / "data" / "valkey.sock")) as redis:
        keys = int(redis.dbsize())
    memory_mb = pages * os.sysconf("SC_PAGESIZE") / 2**20
    return Held(memory_mb, len(list((proc / "fd").iterdir())), keys)


async def test_thousands_of_jobs_leave_no_memory_no_file_and_no_key_behind() -> None:
    async with up_stack() as stack:
        rounds = [await run_round(stack, number) for number in range(ROUNDS)]
        print(*rounds, sep="\n")
        early, late = rounds[WARM_UP], rounds[-1]
        jobs = JOBS_A_ROUND * (ROUNDS - 1 - WARM_UP)
        grown_by_kb = 1_024 * (late.memory_mb - early.memory_mb) / jobs
        assert grown_by_kb < 0.5, f"each job leaves {grown_by_kb:.2f} kB behind: {rounds}"
        assert late.files <= early.files + 10, rounds
        assert late.keys <= early.keys + 3, rounds
        await check_invariants(stack)


async def run_round(stack: Stack, number: int) -> Held:
    """A thousand jobs, some of whose callbacks are lost or unsigned, to their end; then what is held."""
    faults = ("", "", "", "[fault: callback=unsigned]", "[fault: answer=drop]")
    prompts = iter([f"round {number}, {n} {faults[n % len(faults)]}" for n in range(JOBS_A_ROUND)])

    async def submit_on() -> None:
        for prompt in prompts:
            await stack.created(prompt)

    await asyncio.gather(*(submit_on() for _ in range(AT_ONCE)))
    await until(lambda: has_ended(stack), within=180, what=f"round {number} to end")
    # Connections that idle are closed after five seconds; what is still held then is held for good.
    quiet = asyncio.get_running_loop().time() + 6

    async def is_quiet() -> bool:
        return asyncio.get_running_loop().time() > quiet

    await until(is_quiet)
    return held_by(stack)


async def has_ended(stack: Stack) -> bool:
    await stack.ledger.calm_lanes()
    left = await stack.ledger.one("SELECT count(*) FROM jobs WHERE finished_at IS NULL")
    return int(left) == 0
