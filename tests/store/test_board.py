"""What the first page reads, on both databases."""

from __future__ import annotations

from functools import partial

import pytest

from orchestrator.clock import DAY, HOUR, MINUTE
from orchestrator.job import Phase, Reason
from orchestrator.store import board, figures
from orchestrator.store.board import FirstPage
from orchestrator.store.delivery_search import Overdue
from orchestrator.store.store import Store
from tests.factories import IMAGE_LANE, T0, TENANT, add_tenant, make_creation, make_id, stored_job
from tests.store import decisions
from tests.store.bulk import opened, receiving
from tests.store.claiming import claim
from tests.store.plans import plan
from tests.store.rows import execute
from tests.store.test_deliveries import ended_job
from tests.store.test_endpoints import stored


async def first_page(store: Store, *, tenant_id: str | None = None) -> FirstPage:
    while await store.write(figures.follow, most=100):
        pass
    return await store.read(
        board.first_page, tenant_id=tenant_id, span="minute", since=T0 - HOUR, now=T0 + MINUTE
    )


async def test_an_empty_database_has_a_first_page(store: Store) -> None:
    page = await first_page(store)
    assert page.phases.total() == 0
    assert page.oldest == {}
    assert (page.seen.dead, page.seen.in_doubt, page.seen.dead_deliveries, page.seen.workers) == (0, 0, 0, 0)


async def test_stages_have_their_number_and_their_oldest(store: Store) -> None:
    made = [(await store.create(make_creation())).job for _ in range(3)]
    (claimed,) = await claim(store, slots=1)
    page = await first_page(store)
    assert +page.phases == {"ready": 2, "submitting": 1}
    assert page.oldest["submitting"] == claimed.attempt.claimed_at
    assert page.oldest["ready"] == made[1].created_at


async def test_what_waits_is_as_old_as_it_is_due(store: Store) -> None:
    waiting = [await stored_job(store, Phase.WAITING, due_at=T0 + HOUR) for _ in range(2)]
    await stored_job(store, Phase.READY, due_at=T0 - HOUR)
    await execute(
        store, "INSERT INTO stages VALUES (:lane, :tenant, 'waiting', 2)", lane=IMAGE_LANE, tenant=TENANT
    )
    assert (await first_page(store)).oldest["waiting"] == T0 + MINUTE
    await execute(store, "UPDATE jobs SET due_at = :at WHERE id = :id", at=T0 - 7, id=waiting[1].id)
    for tenant_id in (None, TENANT):
        assert (await first_page(store, tenant_id=tenant_id)).oldest["waiting"] == T0 - 7
    assert "waiting" not in (await first_page(store, tenant_id=make_id())).oldest


async def test_a_job_that_is_redriven_is_not_as_old_as_it_was_stored(store: Store) -> None:
    job = await stored_job(store, Phase.FAILED, reason=Reason.EXHAUSTED, created_at=T0 - DAY)
    await store.change(job.id, decisions.redrive, source="test")
    assert (await first_page(store)).oldest == {"ready": T0}


async def test_what_came_out_is_shown_newest_first(store: Store) -> None:
    done = [(await store.create(make_creation())).job.id for _ in range(2)]
    await claim(store, slots=2)
    for job in done:
        await store.change(job, decisions.complete, source="poll", attempt=1)
    page = await first_page(store)
    assert [one.job.id for one in page.newest] == sorted(done, reverse=True)
    assert sum(page.trend["completed"].values()) == 2


@pytest.mark.parametrize("reason", [Reason.EXHAUSTED, Reason.CANCELLED])
async def test_a_dead_letter_is_one_that_nobody_cancelled(store: Store, reason: Reason) -> None:
    await stored_job(store, Phase.FAILED, reason=reason)
    page = await first_page(store)
    assert page.seen.dead == (reason != Reason.CANCELLED)


async def test_jobs_of_batches_that_may_not_go_are_held(store: Store) -> None:
    await receiving(store, 4)
    assert (await first_page(store)).held == 4


async def test_what_waits_for_a_person_is_as_old_as_its_hold(store: Store) -> None:
    await stored_job(store, Phase.HELD, created_at=T0 - DAY)
    seen = (await first_page(store)).seen
    assert seen.in_doubt == 1
    assert seen.in_doubt_since is not None


async def test_webhooks_that_should_have_been_sent_are_overdue(store: Store) -> None:
    for due_at in (T0 - HOUR, T0 - DAY, T0 + MINUTE):
        job = await ended_job(store)
        await execute(
            store, "UPDATE deliveries SET due_at = :due WHERE job_id = :job", due=due_at, job=job.id
        )
    assert (await first_page(store)).seen.overdue == Overdue(2, T0 - DAY)
    assert (await first_page(store, tenant_id=TENANT)).seen.overdue == Overdue(2, T0 - DAY)
    stranger = await store.write(add_tenant, tenant_id=make_id())
    assert (await first_page(store, tenant_id=stranger)).seen.overdue == Overdue(0, None)


async def test_endpoints_that_fail_for_a_while_and_are_still_tried_are_named(store: Store) -> None:
    since = {"long": T0 - DAY, "longest": T0 - 2 * DAY, "just": T0 + MINUTE}
    made = {name: await stored(store, failing_since=at) for name, at in since.items()}
    await stored(store, failing_since=T0 - DAY, disabled_at=T0, disabled_because="it answered 410 Gone")
    wanted = [made["longest"].id, made["long"].id]
    assert [one.id for one in (await first_page(store)).seen.failing] == wanted
    assert [one.id for one in (await first_page(store, tenant_id=TENANT)).seen.failing] == wanted


async def test_batches_under_way_are_named(store: Store) -> None:
    batch = await opened(store, 2)
    assert [one.id for one in (await first_page(store)).batches] == [batch.id]


async def test_a_tenant_sees_its_own_alone(store: Store) -> None:
    stranger = await store.write(add_tenant, tenant_id=make_id())
    await store.create(make_creation())
    await stored_job(store, Phase.FAILED, reason=Reason.EXHAUSTED)
    page = await first_page(store, tenant_id=stranger)
    assert (page.phases.total(), page.seen.dead, page.oldest, page.newest) == (0, 0, {}, [])
    assert (await first_page(store, tenant_id=TENANT)).seen.dead == 1


@pytest.mark.parametrize("tenant_id", [None, TENANT], ids=["of all", "of one"])
async def test_webhooks_that_died_long_ago_are_not_read_for_those_of_a_day(
    store: Store, tenant_id: str | None
) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    ask = partial(board.dead_deliveries, since=T0, tenant_id=tenant_id)
    assert any("ix_deliveries_died" in step for step in await store.read(plan, do=ask))


@pytest.mark.parametrize("tenant_id", [None, TENANT], ids=["of all", "of one"])
async def test_jobs_whose_deadline_is_still_to_come_are_not_read_for_one_that_is_due(
    store: Store, tenant_id: str | None
) -> None:
    if store.database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads a table this small from end to end")
    ask = partial(board.oldest, tenant_id=tenant_id, now=T0)
    assert any("ix_jobs_due (due_at<?)" in step for step in await store.read(plan, do=ask))
