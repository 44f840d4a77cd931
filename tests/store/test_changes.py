"""The one door: a job, its attempt, its event, its ending and its delivery change together or not at all."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.decision import Decision
from orchestrator.evidence import Source
from orchestrator.job import Attempt, Ending, Job, Phase
from orchestrator.lifecycle import IllegalMove
from orchestrator.store import rows as stored
from orchestrator.store import views
from orchestrator.store.changes import Seen
from orchestrator.store.rows import LostRace
from orchestrator.store.store import Store
from orchestrator.store.trouble import RowRefused
from tests.factories import (
    T0,
    TENANT,
    add_attempts,
    add_tenant,
    make_attempt,
    make_creation,
    make_id,
    make_result,
    stored_job,
)
from tests.store import decisions
from tests.store.rows import attempt_of, count, counts, job_of, select

HOOK = "https://user.example/hook"


async def test_a_move_writes_job_attempt_event_ending_and_delivery(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED, webhook=HOOK)
    applied = await store.change(job.id, decisions.complete, source=Source.POLL, attempt=1)
    assert applied is not None
    assert applied.note == "completed"
    assert await job_of(store, job.id) == applied.job
    assert (applied.job.phase, applied.job.ending, applied.job.finished_at) == (Phase.COMPLETED, 1, T0)
    assert (await attempt_of(store, job.id)).outcome == "completed"
    timeline = await store.read(views.read_timeline, job=job)
    event = timeline.events[0]
    assert (event.verb, event.from_phase, event.to_phase, event.source, event.at, event.attempt) == (
        ("complete", "accepted", "completed", "poll", T0, 1)
    )
    delivery = timeline.deliveries[0]
    assert (delivery.id, delivery.url, delivery.state, delivery.due_at) == (
        f"{job.id}-1",
        HOOK,
        "pending",
        T0,
    )
    found = await store.read(views.find_job, tenant_id=TENANT, job_id=job.id)
    assert found is not None
    assert found.ending == Ending(result=make_result())


async def test_a_job_without_a_webhook_has_no_delivery(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED)
    await store.change(job.id, decisions.complete, source=Source.POLL)
    assert await count(store, "deliveries") == 0


async def test_a_change_that_is_no_move_writes_no_event(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED)
    await store.change(job.id, decisions.mark, source="client")
    await store.change(job.id, decisions.naming("task-1"), source=Source.POLL)
    assert (await job_of(store, job.id)).cancel_requested_at == T0
    assert (await attempt_of(store, job.id)).provider_id == "task-1"
    assert await count(store, "events") == 0


async def test_a_decision_sees_the_attempt_that_the_evidence_speaks_of(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED, attempt=2)
    await store.write(add_attempts, attempts=[make_attempt(job, number=1)])
    seen: list[int | None] = []

    def look(_job: Job, attempt: Attempt | None) -> Decision:
        seen.append(attempt.number if attempt else None)
        return Decision(note="seen")

    for number in (1, 2, None, 3):
        await store.change(job.id, look, source=Source.POLL, attempt=number)
    assert seen == [1, 2, 2, None]


async def test_an_unknown_job_is_none(store: Store) -> None:
    assert await store.change(make_id(), decisions.complete, source=Source.POLL) is None


async def test_another_tenants_job_is_none_and_stays_as_it_is(store: Store) -> None:
    job, stranger = await stored_job(store, Phase.HELD), await store.write(add_tenant)
    assert await store.change(job.id, decisions.release, source="client", tenant_id=stranger) is None
    assert await job_of(store, job.id) == job
    assert await store.change(job.id, decisions.release, source="client", tenant_id=TENANT) is not None


async def test_two_changes_of_one_job_in_one_group_follow_one_another(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED)

    def fail_unless_ended(job: Job, attempt: Attempt | None) -> Decision:
        return Decision(note="late") if job.is_ended else decisions.fail(job, attempt)

    first, second = await asyncio.gather(
        store.change(job.id, decisions.complete, source=Source.CALLBACK),
        store.change(job.id, fail_unless_ended, source=Source.POLL),
    )
    assert first is not None
    assert second is not None
    assert (first.note, second.note) == ("completed", "late")
    assert (await job_of(store, job.id)).phase == Phase.COMPLETED
    assert await count(store, "events") == 1


async def test_two_ends_of_one_job_in_one_group_leave_the_last(store: Store) -> None:
    jobs = [await stored_job(store, Phase.ACCEPTED, webhook=HOOK) for _ in range(20)]
    await asyncio.gather(
        *(store.change(job.id, decisions.fail, source=Source.POLL) for job in jobs),
        *(store.change(job.id, decisions.complete, source=Source.CALLBACK) for job in reversed(jobs)),
    )
    for job in jobs:
        found = await store.read(views.find_job, tenant_id=TENANT, job_id=job.id)
        assert found is not None
        assert (found.job.ending, found.ending) == (2, Ending(result=make_result()))
    told = await select(store, "SELECT id FROM deliveries WHERE job_id = :id ORDER BY id", id=jobs[0].id)
    assert told == [(f"{jobs[0].id}-1",), (f"{jobs[0].id}-2",)]


async def test_two_moves_of_one_job_in_one_group_are_two_events(store: Store) -> None:
    job = await stored_job(store, Phase.HELD)
    await asyncio.gather(
        store.change(job.id, decisions.release, source="client"),
        store.change(job.id, decisions.fail, source="client"),
    )
    assert (await job_of(store, job.id)).phase == Phase.FAILED
    verbs = await select(store, "SELECT verb, from_phase FROM events ORDER BY id")
    assert verbs == [("release", "held"), ("fail", "ready")]


async def test_a_decision_that_raises_fails_alone(store: Store) -> None:
    jobs = [await stored_job(store, Phase.HELD) for _ in range(9)]
    broken = jobs[4].id
    decide = {job.id: decisions.release for job in jobs} | {broken: decisions.raising}
    results = await asyncio.gather(
        *(store.change(job.id, decide[job.id], source="client") for job in jobs),
        return_exceptions=True,
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [ValueError]
    phases = [(await job_of(store, job.id)).phase for job in jobs]
    assert phases == [Phase.HELD if job.id == broken else Phase.READY for job in jobs]
    assert await count(store, "events") == 8


async def test_a_move_that_is_not_legal_writes_nothing(store: Store) -> None:
    job = await stored_job(store, Phase.COMPLETED)
    before = await counts(store)
    with pytest.raises(IllegalMove):
        await store.change(job.id, decisions.release, source="client")
    assert await job_of(store, job.id) == job
    assert await counts(store) == before


async def test_a_row_that_the_tables_refuse_fails_alone(store: Store) -> None:
    """Two attempts with one id of the provider's: the second is refused, its neighbours are written."""
    jobs = [await stored_job(store, Phase.ACCEPTED) for _ in range(8)]
    await store.change(jobs[0].id, decisions.naming("task-0"), source=Source.POLL)
    results = await asyncio.gather(
        *(
            store.change(job.id, decisions.naming(f"task-{0 if place == 5 else place}"), source=Source.POLL)
            for place, job in enumerate(jobs)
        ),
        return_exceptions=True,
    )
    assert [place for place, one in enumerate(results) if isinstance(one, RowRefused)] == [5]
    names = [(await attempt_of(store, job.id)).provider_id for job in jobs]
    assert names == [None if place == 5 else f"task-{place}" for place in range(8)]


async def test_a_text_that_postgresql_cannot_hold_fails_alone(store: Store) -> None:
    jobs = [await stored_job(store, Phase.ACCEPTED) for _ in range(4)]
    texts = ["fine", "a NUL: \0", "fine", "fine"]
    results = await asyncio.gather(
        *(
            store.change(job.id, decisions.excerpt(one), source=Source.POLL)
            for job, one in zip(jobs, texts, strict=True)
        ),
        return_exceptions=True,
    )
    refused = [place for place, one in enumerate(results) if isinstance(one, Exception)]
    assert refused == ([1] if store.database.dialect == "postgresql" else [])
    assert all(isinstance(results[place], RowRefused) for place in refused)
    assert [(await attempt_of(store, jobs[n].id)).excerpt for n in (0, 2, 3)] == ["fine"] * 3


async def test_a_number_that_does_not_fit_is_refused(postgres_store: Store) -> None:
    job = await stored_job(postgres_store, Phase.ACCEPTED)

    def overflow(job: Job, _attempt: Attempt | None) -> Decision:
        return Decision(note="too big", job=replace(job, tries=2**70))

    with pytest.raises(RowRefused):
        await postgres_store.change(job.id, overflow, source=Source.POLL)
    assert await job_of(postgres_store, job.id) == job


async def test_an_impossible_row_writes_nothing(store: Store) -> None:
    """A move that ends a job without a time of ending is refused with its event and its delivery."""
    job = await stored_job(store, Phase.ACCEPTED, webhook=HOOK)
    before = await counts(store)

    def half_ended(job: Job, attempt: Attempt | None) -> Decision:
        decision = decisions.complete(job, attempt)
        assert decision.move is not None
        impossible = replace(decision.move, after=replace(decision.move.after, finished_at=None))
        return replace(decision, move=impossible)

    with pytest.raises(RowRefused):
        await store.change(job.id, half_ended, source=Source.POLL)
    assert await job_of(store, job.id) == job
    assert (await attempt_of(store, job.id)).ended_at is None
    assert await counts(store) == before


async def test_a_write_from_an_older_state_is_refused(store: Store) -> None:
    job = await stored_job(store, Phase.READY)
    claimed = lifecycle.claim(job, owner="w", now=T0, lease_ms=1)
    await store.write(stored.write_jobs, changes=[(claimed.before, claimed.after)])
    with pytest.raises(LostRace):
        await store.write(stored.write_jobs, changes=[(claimed.before, claimed.after)])


async def test_callbacks_are_counted_by_attempt_and_verdict(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED)
    for verdict in ("valid", "forged", "valid", "valid"):
        await store.change(
            job.id, _nothing, source=Source.CALLBACK, attempt=1, callback=Seen(verdict, f"{verdict} body")
        )
    seen = (await store.read(views.read_timeline, job=job)).callbacks
    assert {(one.verdict, one.count, one.attempt) for one in seen} == {("valid", 3, 1), ("forged", 1, 1)}


async def test_a_thousand_equal_callbacks_at_once_have_one_effect(store: Store) -> None:
    job, seen = await stored_job(store, Phase.ACCEPTED, webhook=HOOK), Seen("valid", "x")

    def complete_once(job: Job, attempt: Attempt | None) -> Decision:
        return Decision(note="duplicate") if job.is_ended else decisions.complete(job, attempt)

    results = await asyncio.gather(
        *(
            store.change(job.id, complete_once, source=Source.CALLBACK, attempt=1, callback=seen)
            for _ in range(1_000)
        )
    )
    assert sum(one is not None and one.note == "completed" for one in results) == 1
    assert await count(store, "events") == await count(store, "deliveries") == 1
    assert await select(store, "SELECT count FROM callbacks") == [(1_000,)]


async def test_a_callback_of_an_unknown_job_leaves_no_row(store: Store) -> None:
    await store.change(make_id(), _nothing, source=Source.CALLBACK, attempt=1, callback=Seen("valid", "x"))
    assert await count(store, "callbacks") == 0


async def test_creations_and_changes_share_one_group(store: Store) -> None:
    held, fresh = await stored_job(store, Phase.HELD), make_creation()
    changed, created, unknown = await asyncio.gather(
        store.change(held.id, decisions.release, source="client"),
        store.create(fresh),
        store.change(make_id(), decisions.release, source="client"),
    )
    assert created.job == fresh.job
    assert changed is not None
    assert changed.job.phase == Phase.READY
    assert unknown is None


def _nothing(_job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="nothing")
