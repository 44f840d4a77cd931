"""A tenant that has as much stored as it may is answered 429, and served again when some of it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from orchestrator.ids import new_api_key
from tests.e2e.program import until
from tests.e2e.stack import FLUX, Stack, data_of, marked

MOST = 3


@dataclass
class Limited:
    """A tenant of the shared stack that may have MOST jobs stored that have not ended."""

    stack: Stack
    id: str
    headers: dict[str, str]

    async def send_batch(
        self, lines: int, *, key: str | None = None, is_trial: bool = False
    ) -> httpx.Response:
        body = {
            "model": FLUX,
            "mode": "partial",
            "dry_run": is_trial,
            "inputs": [{"prompt": f"a lighthouse, {n}"} for n in range(lines)],
        }
        named = {} if key is None else {"idempotency-key": key}
        return await self.stack.http.post("/api/v3/batches", json=body, headers=self.headers | named)

    async def open_jobs(self) -> int:
        counted = "SELECT count(*) FROM jobs WHERE tenant_id = :id AND finished_at IS NULL"
        return int(await self.stack.ledger.one(counted, id=self.id))

    async def has_open(self, count: int) -> bool:
        return await self.open_jobs() == count

    async def lift(self) -> None:
        await self.stack.ledger.change("UPDATE tenants SET max_queued = NULL WHERE id = :id", id=self.id)


@pytest.fixture
async def limited(stack: Stack) -> Limited:
    key = new_api_key()
    tenant = await stack.ledger.add_tenant(key, max_queued=MOST)
    return Limited(stack, tenant, {"authorization": f"Bearer {key}"})


def is_refused(answer: httpx.Response) -> bool:
    """With 429, the envelope that every answer has, and when to come again."""
    return (answer.status_code, answer.json()["code"], answer.headers.get("retry-after")) == (429, 429, "30")


async def test_a_job_too_many_is_429_until_one_of_them_has_ended(limited: Limited) -> None:
    stack = limited.stack
    ids = [await stack.created(marked("hold"), headers=limited.headers) for _ in range(MOST)]
    again = limited.headers | {"idempotency-key": "the one too many"}
    assert is_refused(await stack.submit("one too many", headers=again))
    assert (await stack.submit("somebody else's")).status_code == 200
    for job_id in ids:
        await finish(stack, job_id)
    await until(partial(limited.has_open, 0), what="room")
    assert (await stack.submit("one too many", headers=again)).status_code == 200


async def test_a_batch_that_has_no_room_is_429_and_nothing_of_it_stays(limited: Limited) -> None:
    held = await limited.stack.created(marked("hold"), headers=limited.headers)
    refused = await limited.send_batch(MOST)
    assert is_refused(refused)
    assert f"may have {MOST} jobs stored" in refused.json()["message"]
    await until(partial(limited.has_open, 1), what="its lines to go")
    assert (await limited.send_batch(MOST - 1)).status_code == 200
    await finish(limited.stack, held)


async def test_a_batch_that_can_never_fit_is_400_however_much_is_stored(limited: Limited) -> None:
    held = await limited.stack.created(marked("hold"), headers=limited.headers)
    refused = await limited.send_batch(MOST + 1)
    assert (refused.status_code, refused.headers.get("retry-after")) == (400, None)
    assert refused.json()["message"].startswith(f"this batch has more than {MOST} jobs")
    assert (await limited.send_batch(MOST + 1, is_trial=True)).json() == refused.json()
    await until(partial(limited.has_open, 1), what="its lines to go")
    await finish(limited.stack, held)


async def test_a_batch_that_reaches_the_limit_midway_leaves_nothing_under_its_key(limited: Limited) -> None:
    """What came before must not fill the queue of a tenant whose batch can never fit."""
    most, lines = 220, 250
    await limited.stack.ledger.change(
        "UPDATE tenants SET max_queued = :most WHERE id = :id", id=limited.id, most=most
    )
    assert (await limited.send_batch(lines, key="gone on with")).status_code == 400

    async def is_gone() -> bool:
        return await limited.open_jobs() == 0

    await until(is_gone, what="what was given up to be deleted")
    await limited.lift()
    batch = data_of(await limited.send_batch(lines, key="gone on with"))
    assert batch["total"] == lines


async def finish(stack: Stack, job_id: str) -> None:
    """End the task that a fault holds open."""
    await until(partial(stack.tasks, job_id), what="a task")
    await stack.control("finish", id=(await stack.tasks(job_id))[0]["id"])
