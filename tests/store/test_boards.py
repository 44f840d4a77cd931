"""What the pages of lanes, callbacks, fairness and the system read, on both databases and for each tenant."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orchestrator.clock import MINUTE
from orchestrator.evidence import Source
from orchestrator.ids import new_id
from orchestrator.job import Phase
from orchestrator.store import callback_board, fairness, figures, lane_board, system_board
from orchestrator.store.changes import Seen
from orchestrator.store.figures import Key
from orchestrator.store.store import Store
from orchestrator.store.system_board import Lag
from tests.factories import IMAGE_LANE, T0, TENANT, stored_job
from tests.store import decisions
from tests.store.rows import execute

ANOTHER = new_id(T0 - 7)


async def count(store: Store, **counts: int) -> None:
    keys = {Key(T0, IMAGE_LANE, TENANT, name): number for name, number in counts.items()}
    await store.write(figures.add, counts=Counter(keys))


async def came(store: Store, verdict: str, words: str) -> str:
    """A callback with this verdict; answers the id of its job."""
    job = await stored_job(store, Phase.ACCEPTED)
    await store.change(
        job.id, decisions.complete, source=Source.CALLBACK, attempt=1, callback=Seen(verdict, words)
    )
    return job.id


async def doubted(store: Store, tenant_id: str | None) -> list[tuple[Any, ...]]:
    found = await store.read(callback_board.doubted, tenant_id=tenant_id, most=50)
    return [(one.job_id, one.verdict, one.excerpt) for one in found]


async def test_a_lane_tells_what_is_in_flight_and_how_attempts_ended(store: Store) -> None:
    await stored_job(store, Phase.ACCEPTED)
    await count(store, claimed=5, completed=2, outcome_throttled=3, reason_rejected=1)
    read = {"span": "minute", "since": T0 - MINUTE}
    board = await store.read(lane_board.lane_board, **read, tenant_id=TENANT)
    assert list(board.in_flight.values()) == [1]
    assert board.sums[IMAGE_LANE] == {"claimed": 5, "completed": 2}
    assert board.outcomes[IMAGE_LANE] == {"throttled": 3}
    assert board.reasons[IMAGE_LANE] == {"rejected": 1}
    other = await store.read(lane_board.lane_board, **read, tenant_id=ANOTHER)
    assert (other.in_flight, other.sums, other.outcomes) == ({}, {}, {})


async def test_callbacks_that_were_not_believed_are_found_newest_first_and_by_their_tenant(
    store: Store,
) -> None:
    await came(store, "valid", "")
    unsigned, unreadable = await came(store, "unsigned", ""), await came(store, "valid", "<html>")
    await execute(store, "UPDATE callbacks SET last_at = last_at - 5 WHERE job_id = :id", id=unsigned)
    expected = [(unreadable, "valid", "<html>"), (unsigned, "unsigned", "")]
    assert await doubted(store, None) == expected
    assert await doubted(store, TENANT) == expected
    assert await doubted(store, ANOTHER) == []


async def test_a_tenants_standing_is_what_it_has_waits_for_and_got(store: Store) -> None:
    await stored_job(store, Phase.READY)
    await store.write(figures.follow, most=50)
    await count(store, claimed=4)
    (one,) = await store.read(fairness.standings, span="minute", since=T0 - MINUTE, tenant_id=TENANT)
    assert (one.id, one.claimed, one.in_flight) == (TENANT, 4, 0)
    assert await store.read(fairness.standings, span="minute", since=0, tenant_id=ANOTHER) == []


async def test_the_figures_lag_is_that_of_the_events_not_counted_yet(store: Store) -> None:
    assert await store.read(system_board.figures_lag) == Lag(0, None)
    job = await stored_job(store, Phase.ACCEPTED)
    await store.change(job.id, decisions.complete, source=Source.POLL)
    assert await store.read(system_board.figures_lag) == Lag(1, T0)
    await store.write(figures.follow, most=50)
    assert await store.read(system_board.figures_lag) == Lag(0, None)


async def test_the_database_tells_its_kind_size_and_newest_migration(store: Store) -> None:
    seen = await store.read(system_board.see_database)
    assert seen.kind in ("PostgreSQL", "SQLite")
    assert seen.size > 10_000
    assert seen.migration
