"""A COMMIT whose answer was lost: the group is tried again and finds what it had already written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.decision import Decision
from orchestrator.evidence import Source, Status
from orchestrator.flow.attempts import Rules
from orchestrator.flow.settlement import decide
from orchestrator.job import Attempt, Job, Phase
from orchestrator.store import batch_uploads, group
from orchestrator.store import store as stored_once
from orchestrator.store.changes import Seen
from orchestrator.store.database import Database
from orchestrator.store.idempotency import Once, Used
from orchestrator.store.store import Store
from orchestrator.store.trouble import CommitLost, DatabaseTrouble, RowRefused
from tests.factories import (
    T0,
    TENANT,
    SetClock,
    make_attempt,
    make_creation,
    make_evidence,
    make_id,
    make_job,
    stored_job,
)
from tests.store import decisions
from tests.store.bulk import RECEIVER, make_batch, receiving
from tests.store.faulty import FaultyDatabase
from tests.store.rows import attempt_of, count, counts, job_of, select


@pytest.fixture
def lossy(database: Database) -> FaultyDatabase:
    return FaultyDatabase(database)


@pytest.fixture
def lossy_store(lossy: FaultyDatabase) -> Store:
    return Store(lossy, SetClock())


async def test_creations_are_stored_once(lossy_store: Store, lossy: FaultyDatabase) -> None:
    creations = [make_creation(), make_creation(key="a"), make_creation(key="a"), make_creation(key="b")]
    lossy.lost_after = 2
    created = await asyncio.gather(*(lossy_store.create(creation) for creation in creations))
    assert [one.is_replay for one in created] == [False, False, True, False]
    assert [one.job.id for one in created] == [creations[n].job.id for n in (0, 1, 1, 3)]
    stored = await counts(lossy_store)
    assert (stored["jobs"], stored["events"], stored["idempotency_keys"]) == (3, 3, 2)


@pytest.mark.parametrize("keys", [[None], ["a"], [None, "a"]], ids=["alone", "alone, keyed", "in a group"])
async def test_a_creation_is_stored_once_though_the_database_stays_away_after_its_commit(
    lossy_store: Store, lossy: FaultyDatabase, monkeypatch: pytest.MonkeyPatch, keys: list[str | None]
) -> None:
    monkeypatch.setattr(group, "PAUSES_S", (0.0, 0.01))
    creations = [make_creation(key=key) for key in keys]
    lossy.lost_after, lossy.then_away = 1, 5
    created = await asyncio.gather(*(lossy_store.create(creation) for creation in creations))
    assert [one.job.id for one in created] == [creation.job.id for creation in creations]
    stored = await counts(lossy_store)
    assert {stored["jobs"], stored["documents"], stored["events"]} == {len(keys)}


async def test_what_is_done_under_a_key_is_found_by_who_asks_again(
    lossy_store: Store, lossy: FaultyDatabase
) -> None:
    job = await stored_job(lossy_store, Phase.HELD)
    first, again = [Once(TENANT, "k", "a" * 64, make_id(), T0) for _ in range(2)]
    lossy.lost_after = 1
    with pytest.raises(CommitLost):
        await lossy_store.change(job.id, decisions.release, source="client", once=first)
    with pytest.raises(Used) as used:
        await lossy_store.change(job.id, decisions.fail, source="client", once=again)
    assert (used.value.first_id, used.value.is_same) == (first.id, True)
    assert (await job_of(lossy_store, job.id)).phase == Phase.READY


async def test_an_empty_answer_counts_once(lossy_store: Store, lossy: FaultyDatabase) -> None:
    job = await stored_job(lossy_store, Phase.ACCEPTED)
    evidence = make_evidence(Status.COMPLETED, Source.POLL, result=None, provider_id="task-1")
    rules = Rules(T0, empties=0)
    lossy.lost_after = 1
    await lossy_store.change(
        job.id,
        lambda job, row: decide(job, row or make_attempt(job), evidence, rules),
        source="poll",
        attempt=1,
    )
    assert (await attempt_of(lossy_store, job.id)).empties == 1


async def test_who_cannot_be_told_whether_it_is_stored_is_told_just_that(
    lossy_store: Store, lossy: FaultyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "PAUSES_S", (0.0, 0.01))
    monkeypatch.setattr(stored_once, "_LOST_COMMIT_S", 0.0)
    lossy.lost_after, lossy.then_away = 1, 5
    with pytest.raises(CommitLost, match="may be stored or not"):
        await lossy_store.create(make_creation())
    assert await count(lossy_store, "jobs") == 1


async def test_a_loss_before_every_commit_leaves_no_doubt(
    lossy_store: Store, lossy: FaultyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "PAUSES_S", (0.0, 0.01))
    lossy.lost_before = 2
    with pytest.raises(DatabaseTrouble) as raised:
        await lossy_store.create(make_creation())
    assert not isinstance(raised.value, CommitLost)
    assert await count(lossy_store, "jobs") == 0


async def test_a_move_is_applied_once(lossy_store: Store, lossy: FaultyDatabase) -> None:
    job = await stored_job(lossy_store, Phase.ACCEPTED, webhook="https://user.example/hook")
    lossy.lost_after = 1
    applied = await lossy_store.change(job.id, decisions.complete, source=Source.POLL)
    assert applied is not None
    assert applied.job == await job_of(lossy_store, job.id)
    assert applied.job.phase == Phase.COMPLETED
    stored = await counts(lossy_store)
    assert (stored["events"], stored["deliveries"]) == (1, 1)


async def test_two_moves_of_one_job_are_applied_once_each(lossy_store: Store, lossy: FaultyDatabase) -> None:
    job = await stored_job(lossy_store, Phase.HELD)
    lossy.lost_after = 1
    await asyncio.gather(
        lossy_store.change(job.id, decisions.release, source="client"),
        lossy_store.change(job.id, decisions.fail, source="client"),
    )
    assert await select(lossy_store, "SELECT verb FROM events ORDER BY id") == [("release",), ("fail",)]
    assert (await job_of(lossy_store, job.id)).ending == 1


async def test_a_callback_of_a_lost_move_is_counted_once(lossy_store: Store, lossy: FaultyDatabase) -> None:
    job = await stored_job(lossy_store, Phase.ACCEPTED)
    lossy.lost_after = 1
    await lossy_store.change(
        job.id, decisions.complete, source=Source.CALLBACK, attempt=1, callback=Seen("valid", "x")
    )
    assert await select(lossy_store, "SELECT count FROM callbacks") == [(1,)]


async def test_a_loss_before_the_commit_is_not_taken_for_one_after_it(
    lossy_store: Store, lossy: FaultyDatabase
) -> None:
    job = await stored_job(lossy_store, Phase.HELD)
    lossy.lost_before = 1
    await asyncio.gather(
        lossy_store.change(job.id, decisions.release, source="client"),
        lossy_store.create(make_creation()),
    )
    assert (await job_of(lossy_store, job.id)).phase == Phase.READY
    assert await count(lossy_store, "jobs") == 2


async def test_neighbours_of_a_bad_row_still_find_themselves_after_a_lost_commit(
    lossy_store: Store, lossy: FaultyDatabase
) -> None:
    """The group was stored; tried again, one decision that is no move raises, and the group is split."""
    jobs = [await stored_job(lossy_store, Phase.HELD) for _ in range(3)]
    fresh = make_creation(make_job(Phase.HELD))
    calls: list[str] = []

    def raising_the_second_time(job: Job, _attempt: Attempt | None) -> Decision:
        calls.append(job.id)
        if len(calls) > 1:
            raise ValueError("not again")
        return Decision(note="noted")

    lossy.lost_after = 1
    results = await asyncio.gather(
        lossy_store.create(fresh),
        lossy_store.change(jobs[0].id, decisions.release, source="client"),
        lossy_store.change(jobs[1].id, raising_the_second_time, source="client"),
        lossy_store.change(jobs[2].id, decisions.release, source="client"),
        return_exceptions=True,
    )
    assert [isinstance(one, ValueError) for one in results] == [False, False, True, False]
    assert not any(isinstance(one, RowRefused) for one in results)
    assert await count(lossy_store, "events") == 3


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_batch_begun_by_a_commit_that_was_lost_is_still_its_requests(
    lossy_store: Store, lossy: FaultyDatabase, key: str | None
) -> None:
    new = make_batch(idempotency_key=key)
    lossy.lost_after, lossy.then_away = 1, 1
    started = await lossy_store.write_surely(batch_uploads.start, new=new)
    assert (started.id, started.receiver) == (new.id, new.receiver)
    assert await count(lossy_store, "batches") == 1


async def test_a_batch_opened_by_a_commit_that_was_lost_is_open_for_its_own_body_only(
    lossy_store: Store, lossy: FaultyDatabase
) -> None:
    batch = await receiving(lossy_store, 2)
    mine: dict[str, Any] = {"batch_id": batch.id, "receiver": RECEIVER, "now": T0}
    lossy.lost_after, lossy.then_away = 1, 1
    opened = await lossy_store.write_surely(batch_uploads.open_received, body_hash="1", **mine)
    assert opened is not None
    assert (opened.id, opened.state, opened.step) == (batch.id, "open", "release")
    assert await lossy_store.write(batch_uploads.open_received, body_hash="2", **mine) is None
    much_later = mine | {"now": T0 + 3_600_000}
    assert await lossy_store.write(batch_uploads.open_received, body_hash="1", **much_later) is None
