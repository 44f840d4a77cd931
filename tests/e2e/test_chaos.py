"""Everything at once: clients that repeat until they are answered, a provider that errs in every way, and all
processes and servers killed, frozen, stopped and restarted at random. Nothing may be lost or paid twice.

`make soak` runs it, `make test` does not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import msgspec
import pytest

from tests.e2e.invariants import check_invariants
from tests.e2e.program import Program, until
from tests.e2e.stack import FLUX, Stack, marked, split_stack, up_stack
from tests.services.postgres import PostgresProcess
from tests.services.valkey import ValkeyProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]

FAULTS = [
    "duration=0.05",
    "duration=1",
    "slow=1",
    "callback=lost",
    "callback=early",
    "callback=reordered",
    "copies=3",
    "busy=2",
    "lost-answer",
    "answer=cut",
    "fail=1200",
    "fail=5000",
]
A_MINUTE = "60000"
CLIENTS, ACTS = 6, 20
# What may be said while something is down, or to an order that comes too late; any other word is a defect.
FOR_NOW = {408, 409, 503}


@dataclass
class Clients:
    """They know what they were promised."""

    stack: Stack
    chance: random.Random
    jobs: set[str] = field(default_factory=set)
    batches: set[str] = field(default_factory=set)
    are_done: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_jobs(self) -> None:
        while not self.are_done.is_set():
            self.jobs.add(await self._insist(f"/api/v3/{FLUX}", msgspec.json.encode(self._input())))
            if self.chance.random() < 0.05:
                await self._once(f"/api/v3/jobs/{self.chance.choice(sorted(self.jobs))}/cancel")
            await asyncio.sleep(self.chance.uniform(0.2, 0.6))

    async def send_batches(self) -> None:
        while not self.are_done.is_set():
            lines = [
                {"custom_id": f"row-{n}", "input": self._input()} for n in range(self.chance.randint(1, 120))
            ]
            body = msgspec.json.Encoder().encode_lines(lines)
            self.batches.add(await self._insist(f"/api/v3/batches?model={FLUX}", body))
            if self.chance.random() < 0.3:
                order = self.chance.choice(["pause", "resume", "cancel", "retry-failed"])
                await self._once(f"/api/v3/batches/{self.chance.choice(sorted(self.batches))}/{order}")
            await asyncio.sleep(self.chance.uniform(1, 3))

    async def resume_all(self) -> None:
        for batch_id in self.batches:
            await self._once(f"/api/v3/batches/{batch_id}/resume")

    def _input(self) -> dict[str, str]:
        return {"prompt": marked(self.chance.choice(FAULTS))}

    async def _insist(self, path: str, body: bytes) -> str:
        """The id that the first good answer names, however often the same was sent."""
        headers = {
            "idempotency-key": f"{self.chance.random()}",
            "content-type": "application/json" if "batches" not in path else "application/jsonl",
        }
        while True:
            try:
                answer = await self.stack.http.post(path, content=body, headers=headers)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code == 200:
                    return str(answer.json()["data"]["id"])
                assert answer.status_code in FOR_NOW, answer.text
            await asyncio.sleep(0.2)

    async def _once(self, path: str) -> None:
        try:
            answer = await self.stack.http.post(path)
        except httpx.TransportError:
            return
        assert answer.status_code in {200, *FOR_NOW}, answer.text


async def kill(program: Program) -> None:
    await program.kill()
    await program.start()


async def stop(program: Program) -> None:
    await program.stop()
    await program.start()


async def freeze(program: Program) -> None:
    program.freeze()
    await asyncio.sleep(2)
    program.thaw()


async def disturb(stack: Stack, servers: list[Callable[[], None]], chance: random.Random) -> None:
    for _ in range(ACTS):
        await asyncio.sleep(chance.uniform(1, 3))
        if servers and chance.random() < 0.3:
            await asyncio.to_thread(chance.choice(servers))
        else:
            await chance.choice([kill, kill, stop, freeze])(chance.choice(stack.programs))


async def is_all_over(stack: Stack) -> bool:
    """With every pause between two steps cut short. What a person must decide on may stay."""
    open_jobs = await stack.ledger.rows(
        "SELECT id FROM jobs WHERE finished_at IS NULL AND coalesce(held_for, '') <> 'doubt' LIMIT 100"
    )
    await stack.ledger.calm_lanes()
    for job in open_jobs:
        await stack.ledger.end_backoff(job["id"])
        await stack.ledger.make_check_due(job["id"])
    return not open_jobs


async def survive(stack: Stack, servers: list[Callable[[], None]], seed: int) -> None:
    chance = random.Random(seed)
    clients = Clients(stack, random.Random(seed))
    senders = [asyncio.create_task(clients.send_jobs()) for _ in range(CLIENTS)]
    senders.append(asyncio.create_task(clients.send_batches()))
    await disturb(stack, servers, chance)
    clients.are_done.set()
    await asyncio.gather(*senders)
    await clients.resume_all()
    await until(lambda: is_all_over(stack), within=240, what="all jobs to end")
    stored = {row["id"] for row in await stack.ledger.rows("SELECT id FROM jobs")}
    assert clients.jobs <= stored
    prompts = await stack.ledger.rows("SELECT input_hash FROM jobs")
    assert len({row["input_hash"] for row in prompts}) == len(prompts), "a key made two jobs"
    await check_invariants(stack)


@pytest.mark.parametrize("seed", [1, 2])
async def test_up_survives_whatever_comes(seed: int) -> None:
    async with up_stack(WAVESPEED_PER_MINUTE=A_MINUTE) as stack:
        await survive(stack, [], seed)


@pytest.mark.parametrize("seed", [3, 4])
async def test_processes_on_postgres_survive_whatever_comes(
    own_postgres: PostgresProcess, own_valkey: ValkeyProcess, seed: int
) -> None:
    def crash_postgres() -> None:
        own_postgres.kill()
        own_postgres.process.start()

    servers = [own_valkey.restart, own_postgres.restart, crash_postgres]
    async with split_stack(
        database_url=own_postgres.url, redis_url=own_valkey.url, WAVESPEED_PER_MINUTE=A_MINUTE
    ) as stack:
        await survive(stack, servers, seed)
