"""Whole look-ups for jobs in doubt: what the provider lists, what happens meanwhile, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from types import MappingProxyType
from typing import Any

import pytest

from orchestrator import policy
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.clock import SECOND, to_rfc3339
from orchestrator.evidence import Source, Status
from orchestrator.flow.create import NewJob, prepare
from orchestrator.flow.resolve import resolve
from orchestrator.flow.settle import settle
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.providers.wavespeed import WaveSpeed
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store.checks import Check
from orchestrator.store.database import Database, T, Work
from tests.factories import TENANT, add_attempts, make_attempt, make_evidence
from tests.flow.test_alike import MODEL, MODELS_ANSWER
from tests.providers.dialect import as_json, facing, http, replying
from tests.store.rows import attempt_of, execute, job_of, select

INPUTS = {"prompt": "a lake"}


@asynccontextmanager
async def listing(
    runtime: Runtime, *tasks: str, ahead_s: int = 0, more: Mapping[str, Any] = MappingProxyType({})
) -> AsyncIterator[None]:
    """A provider that has just made these tasks for a lake, by its own clock; `more` are listed with what it
    added to the input, or with None for no input at all.
    """
    made_at = to_rfc3339(runtime.clock.now() + ahead_s * SECOND)
    listed: dict[str, Any] = dict.fromkeys(tasks, INPUTS)
    listed |= {task: None if added is None else INPUTS | added for task, added in more.items()}
    items = [
        {"id": task, "model": MODEL, "status": "processing", "created_at": made_at, "inputs": inputs}
        for task, inputs in listed.items()
    ]
    body = as_json({"code": 200, "message": "success", "data": {"items": items}})
    date = f"Date: {formatdate(time.time() + ahead_s, usegmt=True)}"
    async with facing(replying(lambda _: http(200, body, date))) as (client, _):
        runtime.provider = WaveSpeed(client, clock=runtime.clock)
        yield


async def in_doubt(
    runtime: Runtime, *, cancel_requested_at: int | None = None, checks: int = 0, **more: Any
) -> Check:
    """A job for a lake whose POST was sent just now, and not answered."""
    inputs = INPUTS | more
    created = prepare(runtime, NewJob(tenant_id=TENANT, model=MODEL, api_version="v3", inputs=inputs))
    await runtime.store.create(created)
    await execute(
        runtime.store,
        "UPDATE jobs SET phase = 'in_doubt', attempt = 1, started_at = created_at,"
        " cancel_requested_at = :cancel WHERE id = :id",
        id=created.job.id,
        cancel=cancel_requested_at,
    )
    now = runtime.clock.now()
    attempt = make_attempt(created.job, claimed_at=now, account_id=ACCOUNT, checks=checks)
    await runtime.store.write(add_attempts, attempts=[attempt])
    return Check(await job_of(runtime.store, created.job.id), attempt)


class Interrupted:
    """A database before whose second read something else happens."""

    def __init__(self, database: Database, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self.dialect = database.dialect
        self._database = database
        self._meanwhile = meanwhile
        self._reads = 0

    async def write(self, work: Work[T]) -> T:
        return await self._database.write(work)

    async def read(self, work: Work[T]) -> T:
        self._reads += 1
        if self._reads == 2:
            await self._meanwhile()
        return await self._database.read(work)

    async def close(self) -> None:
        await self._database.close()


async def after(runtime: Runtime, check: Check) -> tuple[Job, Attempt]:
    return await job_of(runtime.store, check.job.id), await attempt_of(runtime.store, check.job.id)


@pytest.mark.parametrize("ahead_s", [0, 400, -400])
async def test_a_task_is_found_whatever_time_it_is_at_the_provider(runtime: Runtime, ahead_s: int) -> None:
    check = await in_doubt(runtime)
    async with listing(runtime, "task-1", ahead_s=ahead_s):
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.provider_id) == (Phase.ACCEPTED, "task-1")


async def test_a_history_of_another_hour_says_nothing(runtime: Runtime) -> None:
    check = await in_doubt(runtime)
    async with listing(runtime, ahead_s=4_000):
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.checks) == (Phase.IN_DOUBT, 0)


async def test_a_cancelled_job_waits_for_nobody_and_its_attempt_keeps_a_late_output(
    runtime: Runtime,
) -> None:
    check = await in_doubt(runtime, cancel_requested_at=1)
    async with listing(runtime, "task-1", "task-2"):
        await resolve(runtime, check)
    late = make_evidence(Status.COMPLETED, Source.CALLBACK, provider_id="task-2")
    await settle(runtime, check.job.id, 1, late)
    job, attempt = await after(runtime, check)
    assert (job.phase, job.reason) == (Phase.FAILED, Reason.CANCELLED)
    assert (attempt.provider_id, attempt.outcome) == ("task-2", "completed")


async def test_a_callback_between_two_looks_leaves_each_job_its_own_task(runtime: Runtime) -> None:
    sibling, check = await in_doubt(runtime), await in_doubt(runtime)
    told = make_evidence(Status.COMPLETED, Source.CALLBACK, provider_id="task-1")

    async def call_back() -> None:
        await settle(runtime, sibling.job.id, 1, told)

    async with listing(runtime, "task-1", "task-2"):
        runtime.store.database = Interrupted(runtime.store.database, call_back)
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.provider_id) == (Phase.ACCEPTED, "task-2")
    job, attempt = await after(runtime, sibling)
    assert (job.phase, attempt.provider_id) == (Phase.COMPLETED, "task-1")


@pytest.mark.parametrize("is_asked_for_the_first", [True, False])
async def test_jobs_stored_before_and_after_their_model_was_learned_are_alike(
    runtime: Runtime, *, is_asked_for_the_first: bool
) -> None:
    before = await in_doubt(runtime)
    runtime.catalogue = Catalogue().with_provider_models(MODELS_ANSWER)
    later = await in_doubt(runtime)
    assert before.job.input_hash != later.job.input_hash
    async with listing(runtime, "task-1", "task-2"):
        await resolve(runtime, before if is_asked_for_the_first else later)
    attempts = [(await after(runtime, check))[1] for check in (before, later)]
    assert {attempt.provider_id for attempt in attempts} == {"task-1", "task-2"}


async def test_a_task_that_is_listed_with_more_than_was_sent_is_adopted(runtime: Runtime) -> None:
    check = await in_doubt(runtime)
    async with listing(runtime, more={"task-1": {"seed": 417, "output_format": "jpeg"}}):
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.provider_id) == (Phase.ACCEPTED, "task-1")


async def test_each_of_many_with_one_input_finds_a_task_with_a_seed_of_its_own(runtime: Runtime) -> None:
    checks = [await in_doubt(runtime) for _ in range(3)]
    async with listing(runtime, "task-1", more={"task-2": {"seed": 2}, "task-3": {"seed": 3}}):
        await resolve(runtime, checks[0])
    found = [await after(runtime, check) for check in checks]
    assert {job.phase for job, _ in found} == {Phase.ACCEPTED}
    assert {attempt.provider_id for _, attempt in found} == {"task-1", "task-2", "task-3"}


async def test_a_task_that_may_be_another_jobs_is_left_to_it(runtime: Runtime) -> None:
    check, other = await in_doubt(runtime), await in_doubt(runtime, seed=417)
    async with listing(runtime, more={"task-1": {"seed": 417}}):
        await resolve(runtime, check)
        assert (await after(runtime, check))[1].provider_id is None
        await resolve(runtime, other)
    assert (await after(runtime, other))[1].provider_id == "task-1"


async def test_a_task_with_more_than_was_sent_is_left_beside_a_job_whose_input_is_too_long_to_compare(
    runtime: Runtime,
) -> None:
    check = await in_doubt(runtime)
    await in_doubt(runtime, image="data:image/png;base64," + "A" * 200_000)
    async with listing(runtime, more={"task-1": {"seed": 417}}):
        await resolve(runtime, check)
    assert (await after(runtime, check))[1].provider_id is None


async def test_a_task_with_more_than_was_sent_is_not_adopted_beside_one_that_hides_its_input(
    runtime: Runtime,
) -> None:
    check = await in_doubt(runtime)
    async with listing(runtime, more={"task-1": {"seed": 417}, "task-2": None}):
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.provider_id, attempt.checks) == (Phase.IN_DOUBT, None, 0)


LAST_LOOK = 2


@pytest.mark.parametrize(
    "more",
    [
        {"task-1": {"seed": 1}, "task-2": {"seed": 2}},
        {"task-1": {"steps": 30}},
        {"task-1": {"seed": 1}, "task-2": {"steps": 30}},
    ],
    ids=["two", "another value than the default", "either"],
)
async def test_what_may_be_paid_already_is_held_and_not_sent_again(
    runtime: Runtime, more: dict[str, dict[str, Any]]
) -> None:
    runtime.catalogue = Catalogue().with_provider_models(MODELS_ANSWER)
    check = await in_doubt(runtime, checks=LAST_LOOK)
    async with listing(runtime, more=more):
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.provider_id) == (Phase.HELD, None)


async def test_a_task_of_another_input_does_not_keep_a_job_from_being_sent_again(runtime: Runtime) -> None:
    check = await in_doubt(runtime, checks=LAST_LOOK, seed=5)
    async with listing(runtime, more={"task-1": {"seed": 417}}):
        await resolve(runtime, check)
    job, attempt = await after(runtime, check)
    assert (job.phase, attempt.outcome) == (Phase.WAITING, "not_there")


async def test_a_429_to_a_look_up_stops_the_questions_of_the_account(runtime: Runtime) -> None:
    check = await in_doubt(runtime)
    reply = http(429, as_json({"code": 429, "message": "slow down"}), "Retry-After: 120")
    async with facing(replying(lambda _: reply)) as (client, _):
        runtime.provider = WaveSpeed(client, clock=runtime.clock)
        await resolve(runtime, check)
    ((paused_until,),) = await select(runtime.store, "SELECT paused_until FROM lanes WHERE media = 'poll'")
    assert paused_until >= check.attempt.claimed_at + 120 * SECOND
    assert (await after(runtime, check))[0].phase == Phase.IN_DOUBT


async def test_each_page_of_a_look_up_is_a_question(runtime: Runtime) -> None:
    check = await in_doubt(runtime)
    async with listing(runtime, "task-1"):  # which comes again as the second page
        await resolve(runtime, check)
    full = policy.burst(policy.TIERS["bronze"].polls_per_minute)
    assert await select(runtime.store, "SELECT tokens FROM lanes WHERE media = 'poll'") == [(full - 1,)]
