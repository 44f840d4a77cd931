"""How long one job's move takes on SQLite while a large upload and an export run beside it."""

from __future__ import annotations

import asyncio
import tempfile
import time

from sqlalchemy import Connection, text

from bench.figures import Figure, quantile
from orchestrator import lifecycle
from orchestrator.clock import Clock
from orchestrator.decision import Decision
from orchestrator.evidence import Source
from orchestrator.ids import new_id
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.policy import TIERS
from orchestrator.store import keys, lanes, schema, views
from orchestrator.store.creation import Creation
from orchestrator.store.database import open_database
from orchestrator.store.store import Store
from orchestrator.store.views import HistoryFilter

MOVES = 1_000
_INPUT = '{"prompt":"a lighthouse on a cliff, waves below, in the light of the evening"}'
_TENANT = "0" * 32


async def moves() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(open_database(f"sqlite:///{folder}/moves.db"), Clock())
        await store.write(schema.upgrade)
        await store.write(keys.ensure_first_key, key="orc_bench", now=0)
        await store.write(
            lanes.ensure_account, account_id="bench", provider="bench", limits=TIERS["ultra"], now=0
        )
        uploading = asyncio.create_task(_upload(store))
        exporting = asyncio.create_task(_export(store))
        took = await _move(store)
        uploaded = await store.read(_count)
        for task in (uploading, exporting):
            task.cancel()
        await asyncio.gather(uploading, exporting, return_exceptions=True)
        await store.close()
    note = f"{MOVES} moves beside an upload of {uploaded:,} jobs"
    return [
        Figure("a move, p50", quantile(took, 0.5) * 1_000, " ms"),
        Figure("a move, p99", quantile(took, 0.99) * 1_000, " ms", at_most=50, note=note),
    ]


def _count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())


async def _upload(store: Store) -> None:
    """As a bulk upload will come: 500 jobs at a time, one group after another, as long as moves are timed."""
    while True:
        await asyncio.gather(*(store.create(_creation(store)) for _ in range(500)))


async def _export(store: Store) -> None:
    before = None
    while True:
        wanted = HistoryFilter(before_id=before, page_size=200)
        found = await store.read(views.list_jobs, tenant_id=_TENANT, wanted=wanted)
        before = found[-1].job.id if len(found) == 200 else None
        await asyncio.sleep(0)


async def _move(store: Store) -> list[float]:
    took = []
    for _ in range(MOVES):
        created = await store.create(_creation(store))
        started = time.perf_counter()
        await store.change(created.job.id, _cancel, source=Source.WORKER)
        took.append(time.perf_counter() - started)
    return took


def _cancel(job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(
        note="cancelled",
        move=lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=job.created_at),
    )


def _creation(store: Store) -> Creation:
    now = store.clock.now()
    job = Job(
        id=new_id(now),
        tenant_id=_TENANT,
        lane_id="bench/image",
        model="wavespeed-ai/flux-dev",
        api_version="v3",
        media="image",
        priority=0,
        phase=Phase.READY,
        created_at=now,
        input_hash="0" * 32,
    )
    return Creation(job=job, input=_INPUT)
