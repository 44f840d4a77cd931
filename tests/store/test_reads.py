"""How much of a table PostgreSQL reads for a few rows: those rows, and not the table."""

from __future__ import annotations

from sqlalchemy import Connection, text

from orchestrator.ids import new_id
from orchestrator.lifecycle import Phase
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.store import Store
from tests.factories import T0, add_attempts, add_jobs, make_attempt, make_job
from tests.store import decisions

STORED, CHANGED = 2_000, 20


async def test_a_group_of_changes_reads_its_own_rows_and_no_others(postgres_store: Store) -> None:
    jobs = [make_job(Phase.ACCEPTED) for _ in range(STORED)]
    changes = [
        Change(job_id=job.id, decide=decisions.complete, source="poll", event_id=new_id(T0))
        for job in jobs[:CHANGED]
    ]

    def fill(connection: Connection) -> None:
        add_jobs(connection, jobs)
        add_attempts(connection, [make_attempt(job) for job in jobs])

    def rows_read(connection: Connection) -> list[int]:
        before = _read(connection)
        apply_changes(connection, changes, now=T0, is_retry=False)
        return [after - sooner for after, sooner in zip(_read(connection), before, strict=True)]

    await postgres_store.write(fill)
    # Of tables that were just emptied the planner believes that any way is as good as another.
    await postgres_store.write(lambda c: c.execute(text("ANALYZE jobs, attempts, documents")))
    read = await postgres_store.write(rows_read)
    # Each row once to lock it and once to change it.
    assert [count <= 3 * CHANGED for count in read] == [True, True, True], read


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
