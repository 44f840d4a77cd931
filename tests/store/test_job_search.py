"""Finding jobs by what one knows of them: each filter alone, pages without gaps, and looks that end."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.job import Job, Phase, Reason
from orchestrator.store import dead_letters, job_search
from orchestrator.store.job_filter import JobFilter, conditions
from orchestrator.store.job_search import Page
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, add_tenant, make_creation, make_id, make_job, stored_job
from tests.store.rows import execute, select


async def page(store: Store, *, owner: str | None = TENANT, before: str = "", **wanted: Any) -> Page:
    found: Page = await store.read(
        job_search.read_page, wanted=JobFilter(**wanted), owner=owner, before=before, most=3
    )
    return found


async def ids(store: Store, *, owner: str | None = TENANT, **wanted: Any) -> set[str]:
    return {one.job.id for one in (await page(store, owner=owner, **wanted)).items}


async def named(store: Store, words: str, *, owner: str | None = TENANT) -> list[str]:
    found = await store.read(job_search.read_named, words=words, owner=owner)
    return [one.job.id for one in found]


async def created(store: Store, prompt: str, **changes: Any) -> Job:
    creation = make_creation(make_job(**changes))
    await store.create(creation)
    await execute(
        store,
        "UPDATE documents SET input = :input WHERE job_id = :id",
        input=f'{{"prompt":"{prompt}"}}',
        id=creation.job.id,
    )
    return creation.job


async def dead(store: Store, **changes: Any) -> Job:
    return await stored_job(store, Phase.FAILED, **({"fingerprint": "f" * 16} | changes))


async def test_each_filter_finds_its_jobs_and_no_others(store: Store) -> None:
    ready = await stored_job(store)
    rare = await stored_job(store, model="studio/rare")
    at_provider = await stored_job(store, Phase.ACCEPTED)
    in_doubt = await stored_job(store, Phase.HELD)
    failed = await dead(store)
    cancelled = await dead(store, reason=Reason.CANCELLED, fingerprint="c" * 16)
    dismissed = await dead(store, dismissed_at=T0, fingerprint="d" * 16)
    assert await ids(store, phase="ready") == {ready.id, rare.id}
    assert await ids(store, phase="created", model="studio/rare") == {rare.id}
    assert await ids(store, phase="accepted") == {at_provider.id}
    assert await ids(store, is_in_doubt=True) == {in_doubt.id}
    assert await ids(store, phase="failed") == {failed.id, cancelled.id, dismissed.id}
    assert await ids(store, is_dead=True) == {failed.id}
    assert await ids(store, fingerprint="c" * 16) == {cancelled.id}
    assert await ids(store, since=cancelled.created_at) == {cancelled.id, dismissed.id}
    assert await ids(store, until=rare.created_at) == {ready.id}


async def test_matches_are_counted_up_to_a_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await dead(store)
    await stored_job(store)
    failed = JobFilter(phase="failed")
    assert await store.read(job_search.count_some, wanted=failed, owner=TENANT) == 3
    monkeypatch.setattr(job_search, "COUNTED", 1)
    assert await store.read(job_search.count_some, wanted=failed, owner=TENANT) == 2
    monkeypatch.setattr(job_search, "LOOKED_THROUGH", 2)
    rare = JobFilter(model="none/such")
    assert await store.read(job_search.count_some, wanted=rare, owner=TENANT) is None


@pytest.mark.parametrize("wanted", [{}, {"is_dead": True}, {"fingerprint": "f" * 16}, {"phase": "failed"}])
async def test_no_filter_tells_of_another_tenants_job(store: Store, wanted: dict[str, Any]) -> None:
    stranger = await store.write(add_tenant)
    theirs = await dead(store, tenant_id=stranger)
    mine = await dead(store)
    assert await ids(store, **wanted) == {mine.id}
    assert await ids(store, owner=None, **wanted) == {mine.id, theirs.id}
    assert await ids(store, tenant_id=stranger, **wanted) == set()
    assert await ids(store, owner=None, tenant_id=stranger, **wanted) == {theirs.id}
    assert await named(store, theirs.id) == []


@pytest.mark.parametrize("in_batch", [False, True])
async def test_pages_follow_each_other_without_a_gap_to_the_end(store: Store, in_batch: bool) -> None:
    batch_id = make_id()
    lines: list[dict[str, Any]] = [{"batch_id": batch_id, "line": n} if in_batch else {} for n in range(1, 8)]
    made = [await stored_job(store, **line) for line in lines]
    wanted: dict[str, Any] = {"batch_id": batch_id} if in_batch else {}
    seen, before = [], ""
    while True:
        found = await page(store, before=before, **wanted)
        seen += [one.job.id for one in found.items]
        if not found.next:
            break
        before = found.next
    assert seen == [job.id for job in reversed(made)]
    assert not found.is_cut


async def test_a_look_ends_after_so_many_jobs_and_goes_on_from_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_search, "LOOKED_THROUGH", 4)
    old = await stored_job(store, model="studio/rare")
    for _ in range(5):
        await stored_job(store)
    first = await page(store, model="studio/rare")
    assert (first.items, first.is_cut) == ([], True)
    second = await page(store, model="studio/rare", before=first.next)
    assert ([one.job.id for one in second.items], second.is_cut) == ([old.id], False)


async def test_words_are_found_in_prompts_however_they_are_escaped(store: Store) -> None:
    fox = await created(store, "A red Fox, 100% wool")
    quoted = await created(store, 'she said \\"hello\\" to a fox')
    assert await ids(store, words="fox RED") == {fox.id}
    assert await ids(store, words="100%") == {fox.id}
    assert await ids(store, words='"hello"') == {quoted.id}
    assert await ids(store, words="f_x") == set()
    assert await ids(store, words="fox", phase="failed") == set()


async def test_a_job_is_found_by_its_id_its_ends_its_custom_id_and_its_task(store: Store) -> None:
    job = await stored_job(store, Phase.ACCEPTED, batch_id=make_id(), line=1, custom_id="spring-1")
    await execute(store, "UPDATE attempts SET provider_id = 'task-77' WHERE job_id = :id", id=job.id)
    await stored_job(store, created_at=job.created_at + 600_000)
    assert await named(store, job.id) == [job.id]
    assert await named(store, job.id[:12]) == [job.id]
    assert await named(store, "task-77") == [job.id]
    assert await named(store, "task-7") == []
    assert await ids(store, words=job.id[-8:]) == {job.id}
    assert await ids(store, words="spring") == {job.id}


async def test_counting_and_stepping_see_only_what_was_there_at_the_start(store: Store) -> None:
    first, second = await dead(store), await dead(store)
    up_to = second.id
    await dead(store)
    wanted = JobFilter(is_dead=True)
    assert await store.read(job_search.count_matching, wanted=wanted, owner=None, up_to=up_to) == 2
    step = await store.read(
        job_search.read_matching, wanted=wanted, owner=None, after="", up_to=up_to, most=1
    )
    assert (step.ids, step.is_over) == ([first.id], False)
    rest = await store.read(
        job_search.read_matching, wanted=wanted, owner=None, after=step.reached, up_to=up_to, most=5
    )
    assert (rest.ids, rest.is_over) == ([second.id], True)


async def test_dead_letters_are_grouped_by_kind_with_words_and_times(store: Store) -> None:
    ends = {"ending": '{"error":{"kind":"rejected","message":"too large"}}'}
    for number in range(3):
        job = await dead(store, model=f"studio/{number % 2}", finished_at=T0 + number)
        await execute(store, "UPDATE documents SET ending = :ending WHERE job_id = :id", id=job.id, **ends)
    other = await dead(store, fingerprint="e" * 16, reason=Reason.EXHAUSTED)
    await dead(store, dismissed_at=T0)
    found = await store.read(dead_letters.read_groups, owner=TENANT)
    large, small = found.groups
    assert (large.count, large.models, large.message) == (3, {"studio/0": 2, "studio/1": 1}, "too large")
    assert (large.first_at, large.last_at, large.job_id) == (T0, T0 + 2, job.id)
    assert (small.count, small.reason, small.job_id) == (1, "exhausted", other.id)
    assert not found.is_cut


async def test_a_tenants_dead_letters_are_found_by_their_own_index(store: Store) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    wanted = JobFilter(is_dead=True)
    where, _ = conditions(wanted, owner=TENANT, like="LIKE")
    plan = await select(store, f"EXPLAIN QUERY PLAN SELECT model FROM jobs WHERE {where}", owner=TENANT)
    assert plan[0][-1] == "SEARCH jobs USING INDEX ix_jobs_dead (tenant_id=? AND phase=?)"
