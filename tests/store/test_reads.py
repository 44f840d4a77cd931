"""How much of a table PostgreSQL reads for a few rows: its planner must not take what grew fast for small."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection, text

from orchestrator.ids import new_id
from orchestrator.job import Phase
from orchestrator.store import schema
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.database import open_database
from tests.factories import T0, add_attempts, add_jobs, make_attempt, make_job
from tests.store import decisions
from tests.store.rows import fill

STORED, CHANGED = 2_000, 20


async def test_a_group_of_changes_reads_its_own_rows_and_no_others(
    new_postgres_database: Callable[[], str],
) -> None:
    """In tables that are new: what the planner believes of others depends on the tests before."""
    jobs = [make_job(Phase.ACCEPTED) for _ in range(STORED)]
    changes = [
        Change(job_id=job.id, decide=decisions.complete, source="poll", event_id=new_id(T0))
        for job in jobs[:CHANGED]
    ]

    def rows_read(connection: Connection) -> list[int]:
        schema.upgrade(connection)
        fill(connection)
        add_jobs(connection, jobs)
        add_attempts(connection, [make_attempt(job) for job in jobs])
        before = _read(connection)
        apply_changes(connection, changes, now=T0, is_retry=False)
        return [after - sooner for after, sooner in zip(_read(connection), before, strict=True)]

    read = await asyncio.to_thread(asyncio.run, _write(new_postgres_database(), rows_read))
    # Each row once to lock it and once to change it.
    assert [count <= 3 * CHANGED for count in read] == [True, True, True], read


async def _write(url: str, work: Callable[[Connection], list[int]]) -> list[int]:
    """In an event loop of its own, since the migrations run one."""
    database = open_database(url)
    try:
        return await database.write(work)
    finally:
        await database.close()


def _read(connection: Connection) -> list[int]:
    """Rows that this transaction has read so far: of jobs, attempts and documents."""
    found = connection.execute(
        text(
            "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('jobs', 'attempts', 'documents')"
        )
    )
    read = {name: int(count) for name, count in found}
    return [read.get(name, 0) for name in ("jobs", "attempts", "documents")]
