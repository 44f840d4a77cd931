"""No window of 60 s sees more submissions than the limit, whoever claims them and whenever they are sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection

from orchestrator.policy import CLAIM_MAX_AGE_S
from orchestrator.store import many_rows
from orchestrator.store.database import Database, open_database
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, SetClock, make_id
from tests.store.claiming import add_ready, claim, set_limits
from tests.store.rows import execute

LASTS_MS = 180_000


def sending_delay_ms(dice: random.Random) -> int:
    """A burst that is sent as late as it may be meets a steady stream that is sent at once."""
    return int(1_000 * dice.choice([0.0, CLAIM_MAX_AGE_S, dice.random() * CLAIM_MAX_AGE_S]))


def fullest_window(sent: Sequence[int]) -> int:
    return max(sum(start <= at < start + 60_000 for at in sent) for start in sent)


def insert_open_batch(connection: Connection, *, batch_id: str, count: int) -> None:
    row = {"id": batch_id, "tenant_id": TENANT, "name": "", "mode": "atomic", "model": "studio/paint"}
    row |= {"state": "open", "request_hash": ""}
    many_rows.insert_many(connection, "batches", [row | {"created_at": T0, "created": count}])


async def add_batch(store: Store, count: int) -> None:
    """Released jobs of one batch, behind what is ready already."""
    batch_id = make_id()
    await store.write(insert_open_batch, batch_id=batch_id, count=count)
    jobs = await add_ready(store, count, at=T0 - 50_000)
    for line, job in enumerate(jobs, start=1):
        await execute(
            store,
            "UPDATE jobs SET batch_id = :batch, line = :line WHERE id = :id",
            batch=batch_id,
            line=line,
            id=job.id,
        )


@pytest.mark.parametrize("per_minute", [10, 57])
async def test_one_worker_keeps_the_rate_however_greedy_it_is(store: Store, per_minute: int) -> None:
    await set_limits(store, per_minute=per_minute)
    await add_ready(store, 6 * per_minute, at=T0 - 100_000)
    dice = random.Random(7)
    now, sent = T0, []
    while now < T0 + LASTS_MS:
        sent += [now + sending_delay_ms(dice) for _ in await claim(store, now=now)]
        now += dice.choice([200, 200, 1_000, 3_000])
    assert per_minute * 0.8 <= fullest_window(sent) <= per_minute


@pytest.mark.parametrize("per_minute", [10, 57])
async def test_two_workers_keep_the_rate_between_them_while_one_restarts_again_and_again(
    database: Database, database_url: str, per_minute: int
) -> None:
    """With the jobs of a batch beside single ones. What a start does to the limits gives no token away."""
    steady = Store(database, SetClock())
    await set_limits(steady, per_minute=per_minute)
    await add_ready(steady, per_minute, at=T0 - 100_000)
    await add_batch(steady, 5 * per_minute)
    dice = random.Random(7)
    now, sent, batched = T0, [], set()
    while now < T0 + LASTS_MS:
        restarted = open_database(database_url)
        both = [steady, Store(restarted, SetClock())]
        await set_limits(both[1], per_minute=per_minute, now=now)
        for _ in range(dice.randint(3, 30)):
            claimed = await asyncio.gather(
                *(claim(store, now=now, owner=f"worker-{n}") for n, store in enumerate(both))
            )
            for one in (*claimed[0], *claimed[1]):
                sent.append(now + sending_delay_ms(dice))
                batched.add(one.job.batch_id is not None)
            now += dice.choice([200, 200, 1_000, 3_000])
        await restarted.close()
    assert per_minute * 0.8 <= fullest_window(sent) <= per_minute
    assert batched == {True, False}
