"""What people and clients read: their own jobs only, newest first, and the whole story of one."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.decision import Decision
from orchestrator.evidence import Source
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.store import history as stored_history
from orchestrator.store import views
from orchestrator.store.changes import Seen
from orchestrator.store.history import HistoryFilter, list_jobs
from orchestrator.store.store import Store
from tests.factories import (
    T0,
    TENANT,
    add_attempts,
    add_tenant,
    make_attempt,
    make_creation,
    make_id,
    make_job,
    stored_job,
)
from tests.store import decisions
from tests.store.bulk import finish_steps, jobs_of, opened

HOOK = "https://user.example/hook"


async def history(store: Store, **wanted: Any) -> list[str]:
    found = await store.search(list_jobs, tenant_id=TENANT, wanted=HistoryFilter(**wanted))
    return [one.job.id for one in found]


async def dead(store: Store, *, before_id: str | None = None, most: int = 50) -> list[str]:
    found = await store.read(views.list_dead, tenant_id=TENANT, before_id=before_id, most=most)
    return [one.job.id for one in found]


async def test_a_job_is_found_with_its_input_and_without_an_ending(store: Store) -> None:
    creation = make_creation()
    await store.create(creation)
    found = await store.read(views.find_job, tenant_id=TENANT, job_id=creation.job.id)
    assert found == views.Found(creation.job, "", None)
    with_input = await store.read(views.find_job, tenant_id=TENANT, job_id=creation.job.id, with_input=True)
    assert with_input == views.Found(creation.job, creation.input, None)


async def test_no_question_tells_of_another_tenants_job(store: Store) -> None:
    stranger = await store.write(add_tenant)
    job = await stored_job(store, Phase.FAILED, tenant_id=stranger)
    await stored_job(store, Phase.READY, tenant_id=stranger)
    assert await store.read(views.find_job, tenant_id=TENANT, job_id=job.id) is None
    assert await history(store) == []
    assert await dead(store) == []
    assert set((await store.read(views.count_phases, tenant_id=TENANT)).values()) == {0}


async def test_an_unknown_job_is_not_found(store: Store) -> None:
    assert await store.read(views.find_job, tenant_id=TENANT, job_id=make_id()) is None


async def test_history_is_newest_first_in_pages(store: Store) -> None:
    jobs = [await stored_job(store) for _ in range(5)]
    newest_first = [job.id for job in reversed(jobs)]
    assert await history(store) == newest_first
    assert await history(store, skip=2, page_size=2) == newest_first[2:4]
    assert await history(store, skip=6, page_size=2) == []


async def test_history_is_filtered_by_model(store: Store) -> None:
    await stored_job(store)
    wanted = await stored_job(store, model="studio/film")
    assert await history(store, model="studio/film") == [wanted.id]


@pytest.mark.parametrize(
    ("state", "phases"),
    [
        ("created", {"held0", "ready0", "waiting0"}),
        ("processing", {"held1", "ready1", "waiting1", "submitting1", "in_doubt1", "accepted1"}),
        ("completed", {"completed1"}),
        ("failed", {"failed0", "failed1"}),
        ("paid", set()),
    ],
)
async def test_history_is_filtered_by_the_users_state(store: Store, state: str, phases: set[str]) -> None:
    ids = {(await stored_job(store, phase, attempt=1)).id: f"{phase}1" for phase in Phase}
    for phase in (Phase.HELD, Phase.READY, Phase.WAITING, Phase.FAILED):
        ids[(await stored_job(store, phase, attempt=0)).id] = f"{phase}0"
    assert {ids[job_id] for job_id in await history(store, state=state)} == phases


@pytest.mark.parametrize("looked_through", [1, 2, 3, 30])
async def test_a_page_of_history_is_whole_however_little_one_look_sees(
    store: Store, monkeypatch: pytest.MonkeyPatch, looked_through: int
) -> None:
    stranger = await store.write(add_tenant)
    ids: dict[str, list[str]] = {"completed": [], "failed": [], "ready": []}
    for number in range(12):
        phase = Phase.COMPLETED if number % 4 else (Phase.FAILED if number % 8 else Phase.READY)
        model = "studio/film" if number % 3 else "studio/still"
        job = await stored_job(store, phase, model=model, created_at=T0 + number)
        ids[phase].insert(0, job.id)
        await stored_job(store, Phase.FAILED, tenant_id=stranger, created_at=T0 + number)
    monkeypatch.setattr(stored_history, "_LOOKED_THROUGH", looked_through)
    for state, of_state in {"completed": ids["completed"], "failed": ids["failed"]}.items():
        assert await history(store, state=state) == of_state
        for size in (1, 2, 4):
            pages = [
                await history(store, state=state, skip=skip, page_size=size) for skip in range(0, 12, size)
            ]
            assert pages == [of_state[skip : skip + size] for skip in range(0, 12, size)]
    assert await history(store, state="created") == ids["ready"]
    assert await history(store, state="created", before_id=ids["ready"][0]) == ids["ready"][1:]
    film = await history(store, model="studio/film", created_after=T0 + 2, created_before=T0 + 9)
    assert len(film) == 5
    assert await history(store, model="studio/film", created_after=T0 + 2, before_id=film[1]) == film[2:]


async def test_one_look_into_history_reads_no_more_than_it_may(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await stored_job(store, Phase.COMPLETED)
    monkeypatch.setattr(stored_history, "_LOOKED_THROUGH", 2)
    for wanted in (HistoryFilter(state="failed"), HistoryFilter(model="studio/film")):
        seen = await store.read(list_jobs, tenant_id=TENANT, wanted=wanted)
        assert (seen.items, seen.rest is None) == ([], False)


async def test_of_few_that_have_not_ended_one_look_sees_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = await stored_job(store, Phase.READY)
    for _ in range(5):
        await stored_job(store, Phase.COMPLETED)
    monkeypatch.setattr(stored_history, "_LOOKED_THROUGH", 2)
    seen = await store.read(list_jobs, tenant_id=TENANT, wanted=HistoryFilter(state="created"))
    assert ([one.job.id for one in seen.items], seen.rest) == ([ready.id], None)


async def test_history_is_filtered_by_time(store: Store) -> None:
    jobs = [await stored_job(store, created_at=T0 + n) for n in (0, 10, 20)]
    assert await history(store, created_after=T0 + 10) == [jobs[2].id, jobs[1].id]
    assert await history(store, created_before=T0 + 10) == [jobs[0].id]
    assert await history(store, created_after=T0 + 1, created_before=T0 + 20) == [jobs[1].id]


async def test_dead_letters_are_failures_that_nobody_cancelled_or_dismissed(store: Store) -> None:
    letters = [await stored_job(store, Phase.FAILED, reason=reason) for reason in Reason]
    await stored_job(store, Phase.FAILED, dismissed_at=T0)
    await stored_job(store, Phase.COMPLETED)
    await stored_job(store, Phase.HELD)
    expected = [job.id for job in reversed(letters) if job.reason != Reason.CANCELLED]
    assert await dead(store) == expected
    assert await dead(store, most=2) == expected[:2]
    assert await dead(store, before_id=expected[1]) == expected[2:]


async def test_a_timeline_tells_everything_in_order(store: Store) -> None:
    creation = make_creation(make_job(Phase.HELD, webhook=HOOK))
    await store.create(creation)
    job = creation.job
    await store.write(add_attempts, attempts=[make_attempt(job, number=n) for n in (2, 1)])
    await store.change(job.id, decisions.release, source="client")
    for verdict in ("forged", "valid"):
        seen = Seen(verdict, "x")
        await store.change(job.id, _nothing, source=Source.CALLBACK, attempt=1, callback=seen)
    await store.change(job.id, decisions.complete, source=Source.CALLBACK, attempt=2)
    timeline = await store.read(views.read_timeline, job=job)
    assert [event.verb for event in timeline.events] == ["create", "release", "complete"]
    assert [event.to_phase for event in timeline.events] == ["held", "ready", "completed"]
    assert [attempt.number for attempt in timeline.attempts] == [1, 2]
    assert sorted(seen.verdict for seen in timeline.callbacks) == ["forged", "valid"]
    assert [(one.id, one.state) for one in timeline.deliveries] == [(f"{job.id}-1", "pending")]


async def test_the_timeline_of_a_batchs_line_begins_when_it_was_stored(store: Store) -> None:
    batch = await opened(store, 1)
    (job,) = await jobs_of(store, batch)
    for verbs in (["create"], ["create", "release"]):
        timeline = await store.read(views.read_timeline, job=job)
        assert [event.verb for event in timeline.events] == verbs
        stored = timeline.events[0]
        assert (stored.id, stored.at, stored.to_phase) == (job.id, job.created_at, "held")
        await finish_steps(store)


async def test_an_unknown_timeline_is_empty(store: Store) -> None:
    timeline = await store.read(views.read_timeline, job=make_job())
    assert timeline == views.Timeline([], [], [], [])


async def test_who_has_ended_is_told_of_those_asked_for(store: Store) -> None:
    jobs = [await stored_job(store, phase) for phase in Phase]
    ended = [job.id for job in jobs if job.is_ended]
    await stored_job(store, Phase.COMPLETED)
    assert sorted(await store.read(views.ended_among, ids=[job.id for job in jobs])) == sorted(ended)
    assert await store.read(views.ended_among, ids=[]) == []


async def test_jobs_whose_timer_has_run_out_come_longest_first(store: Store) -> None:
    late, later = await stored_job(store, due_at=T0 - 1), await stored_job(store, due_at=T0)
    await stored_job(store, due_at=T0 + 1)
    await stored_job(store)
    due = await store.read(views.due_jobs, now=T0, most=10)
    assert due == [(T0 - 1, late.id), (T0, later.id)]
    assert await store.read(views.due_jobs, now=T0, most=1) == due[:1]
    assert await store.read(views.due_jobs, now=T0, most=10, after=due[0]) == due[1:]
    same = await stored_job(store, due_at=T0 - 1)
    assert await store.read(views.due_jobs, now=T0, most=1, after=due[0]) == [(T0 - 1, same.id)]


async def test_leased_jobs_are_those_submitting(store: Store) -> None:
    jobs = {phase: await stored_job(store, phase) for phase in Phase}
    assert await store.read(views.leased_jobs, most=10) == [jobs[Phase.SUBMITTING].id]


async def test_open_jobs_are_counted_by_phase(store: Store) -> None:
    for phase in (Phase.READY, Phase.READY, Phase.ACCEPTED, Phase.COMPLETED):
        await stored_job(store, phase)
    counted = await store.read(views.count_phases, tenant_id=TENANT)
    assert counted == {"held": 0, "ready": 2, "waiting": 0, "submitting": 0, "in_doubt": 0, "accepted": 1}


async def test_an_input_is_read_as_it_was_stored(store: Store) -> None:
    creation = make_creation()
    await store.create(creation)
    assert await store.read(views.read_input, job_id=creation.job.id) == '{"prompt":"a cat"}'


def _nothing(_job: Job, _attempt: Attempt | None) -> Decision:
    return Decision(note="nothing")
