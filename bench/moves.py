"""How long one job's move takes on SQLite while batches come and an export runs beside it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, text

from bench.figures import Figure, quantile
from orchestrator import lifecycle
from orchestrator.decision import Decision
from orchestrator.evidence import Source
from orchestrator.flow.lines import NewBatch
from orchestrator.flow.receive import receive
from orchestrator.ids import new_id
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import load
from orchestrator.store import history, keys, schema
from orchestrator.store.creation import Creation
from orchestrator.store.database import open_database
from orchestrator.store.history import HistoryFilter
from orchestrator.store.store import Store

MOVES = 1_000
LINES = 50_000
_INPUT = '{"prompt":"a lighthouse on a cliff, waves below, in the light of the evening"}'
_TENANT = "0" * 32
_MODEL = "wavespeed-ai/flux-dev"
_LINE = b'{"custom_id":"row-%d","input":' + _INPUT.encode() + b"}"
_AT_A_TIME = 500


async def moves() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        settings = load(
            data_dir=Path(folder),
            database_url=f"sqlite:///{folder}/moves.db",
            redis_url="",
            secret="of the benchmark " * 2,
            wavespeed_api_key="",
        )
        await _make_database(settings.resolved_database_url)
        async with AsyncExitStack() as stack:
            runtime = await open_runtime(settings, stack)
            uploading = asyncio.create_task(_upload(runtime))
            exporting = asyncio.create_task(_export(runtime.store))
            took = await _move(runtime.store)
            uploaded = await runtime.store.read(_count)
            if uploading.done():
                raise RuntimeError("the upload broke off") from uploading.exception()
            for task in (uploading, exporting):
                task.cancel()
            await asyncio.gather(uploading, exporting, return_exceptions=True)
    note = f"{MOVES} moves while batches of {LINES:,} came, {uploaded:,} jobs in all"
    return [
        Figure("a move, p50", quantile(took, 0.5) * 1_000, " ms"),
        Figure("a move, p99", quantile(took, 0.99) * 1_000, " ms", at_most=50, note=note),
    ]


async def _make_database(url: str) -> None:
    database = open_database(url)
    await database.write(schema.upgrade)
    await database.write(partial(keys.ensure_first_key, key="orc_bench", now=0))
    await database.close()


def _count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())


class _Lines:
    """A batch as its lines arrive, some tens of kilobytes at a time."""

    async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        for first in range(0, LINES, _AT_A_TIME):
            yield [(number + 1, _LINE % number) for number in range(first, first + _AT_A_TIME)]

    def digest(self) -> str:
        return ""


async def _upload(runtime: Runtime) -> None:
    """Batches as a request brings them, one after another, as long as moves are timed."""
    while True:
        await receive(runtime, NewBatch(tenant_id=_TENANT, api_version="v3", model=_MODEL), _Lines())


async def _export(store: Store) -> None:
    before = None
    while True:
        wanted = HistoryFilter(before_id=before, page_size=200)
        found = await store.search(history.list_jobs, tenant_id=_TENANT, wanted=wanted)
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
        lane_id="wavespeed/image",
        model=_MODEL,
        api_version="v3",
        media="image",
        priority=0,
        phase=Phase.READY,
        created_at=now,
        input_hash="0" * 32,
    )
    return Creation(job=job, input=_INPUT)
