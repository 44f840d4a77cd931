"""Processes that die, freeze or are told to stop, wherever it matters: no job lost, none paid twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.hooked import hooked_stack, path_of
from tests.e2e.program import Program, until
from tests.e2e.stack import Stack, marked

# Where the process dies; whether the provider has the task by then.
CRASH_POINTS = {
    "created": False,
    "before_post": False,
    "submitted_before_commit": True,
    "submitted": True,
    "callback_applied": True,
}


async def all_ended(stack: Stack, ids: list[str], *, within: float = 30) -> None:
    """Every pause cut short, all jobs end well."""
    ended = await asyncio.gather(*(stack.hurried(job_id, within=within) for job_id in ids))
    assert {job["phase"] for job in ended} == {"completed"}


async def assert_paid_once(stack: Stack, ids: list[str]) -> None:
    bill = await stack.tasks()
    for job_id in ids:
        assert sum(f"/{job_id}/" in task["webhook"] for task in bill) == 1, job_id


async def stored_ids(stack: Stack) -> list[str]:
    return [row["id"] for row in await stack.ledger.rows("SELECT id FROM jobs")]


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        *((point, "") for point in CRASH_POINTS),
        *((point, "callback=lost") for point in CRASH_POINTS if point != "callback_applied"),
    ],
)
async def test_up_killed_at_a_crash_point_loses_and_repeats_nothing(
    own_stack: Stack, point: str, fault: str
) -> None:
    stack = own_stack
    await stack.up.stop()
    await stack.up.start(ORCHESTRATOR_CRASHPOINT=point)
    submitting = asyncio.create_task(stack.submit(marked(fault)))
    assert await stack.up.ends() == -9
    await asyncio.gather(submitting, return_exceptions=True)
    (job_id,) = await stored_ids(stack)
    assert bool(await stack.tasks(job_id)) == CRASH_POINTS[point]
    await stack.up.start()
    await all_ended(stack, [job_id])
    assert len(await stack.tasks(job_id)) == 1


async def test_up_killed_with_the_answer_to_a_poll_asks_again(own_stack: Stack) -> None:
    stack = own_stack
    await stack.up.stop()
    await stack.up.start(ORCHESTRATOR_CRASHPOINT="polled_before_commit")
    job_id = await stack.created(marked("callback=lost"))
    hurrying = asyncio.create_task(stack.hurried(job_id))
    assert await stack.up.ends() == -9
    hurrying.cancel()
    await asyncio.gather(hurrying, return_exceptions=True)
    await stack.up.start()
    await all_ended(stack, [job_id])
    assert len(await stack.tasks(job_id)) == 1


async def test_up_killed_with_the_answer_of_a_webhook_tells_it_again_under_the_same_id() -> None:
    async with hooked_stack() as (stack, receiver):
        await stack.up.stop()
        await stack.up.start(ORCHESTRATOR_CRASHPOINT="delivered_before_commit")
        path = path_of("200")
        await stack.created(params={"webhook": receiver.url + path})
        assert await stack.up.ends() == -9
        await stack.up.start()
        # Whoever takes a delivery has it for half a minute.
        await stack.ledger.change("UPDATE deliveries SET due_at = 1 WHERE state = 'pending'")
        first, again = await receiver.wait_for(path, count=2)
        assert (first.message_id, first.body) == (again.message_id, again.body)


ON_POSTGRES = pytest.mark.xdist_group("split")


async def test_up_killed_again_and_again_under_load_loses_and_repeats_nothing(own_stack: Stack) -> None:
    stack = own_stack
    ids = []
    for _ in range(3):
        ids += [await stack.created(marked("duration=0.1")) for _ in range(8)]
        await stack.up.kill()
        await stack.up.start()
    assert set(ids) == set(await stored_ids(stack))
    await all_ended(stack, ids)
    assert len(await stack.tasks()) == len(ids)


@ON_POSTGRES
@pytest.mark.parametrize("point", ["before_post", "submitted_before_commit", "submitted"])
async def test_a_worker_killed_at_a_crash_point_leaves_its_jobs_to_the_others(
    split: Stack, point: str
) -> None:
    doomed, other = split.workers
    await doomed.kill()
    await doomed.start(ORCHESTRATOR_CRASHPOINT=f"{point}:3")
    ids: list[str] = []

    async def has_died() -> bool:
        ids.append(await split.created(marked("callback=lost" if len(ids) % 2 else "duration=0.05")))
        assert doomed.running is not None
        return doomed.running.poll() is not None

    await until(has_died, what="the crash")
    assert await doomed.ends() == -9
    ids += [await split.created() for _ in range(3)]
    await until(lambda: nothing_is_ready(split))
    await end_leases_of_the_dead(split, alive=[other])
    await all_ended(split, ids)
    await assert_paid_once(split, ids)


async def nothing_is_ready(stack: Stack) -> bool:
    left = await stack.ledger.one("SELECT count(*) FROM jobs WHERE phase IN ('ready', 'waiting')")
    return int(left) == 0


async def end_leases_of_the_dead(stack: Stack, *, alive: list[Program]) -> None:
    pids = [program.running.pid for program in alive if program.running]
    for row in await stack.ledger.rows("SELECT id, lease_owner FROM jobs WHERE phase = 'submitting'"):
        if not any(row["lease_owner"].endswith(f"-{pid}") for pid in pids):
            await stack.ledger.end_lease(row["id"])


@ON_POSTGRES
async def test_the_api_killed_at_its_commit_or_callback_loses_nothing(split: Stack) -> None:
    (serve,) = split.servers
    for point in ("created", "callback_applied"):
        await serve.stop()
        await serve.start(ORCHESTRATOR_CRASHPOINT=point)
        known = await stored_ids(split)
        submitting = asyncio.create_task(split.submit(marked("duration=0.2")))
        assert await serve.ends() == -9
        await asyncio.gather(submitting, return_exceptions=True)
        await serve.start()
        (job_id,) = set(await stored_ids(split)) - set(known)
        await all_ended(split, [job_id])
        await assert_paid_once(split, [job_id])


async def freeze_outside_of_transactions(stack: Stack, program: Program) -> None:
    """One that has locked rows would keep the others from them until the database ends its transaction."""

    async def is_outside() -> bool:
        program.freeze()
        await asyncio.sleep(0.2)  # the others' transactions are over by then
        is_in_one = await stack.ledger.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%' AND now() - state_change > interval '0.15 s'"
        )
        if is_in_one:
            program.thaw()
        return not is_in_one

    await until(is_outside, what="the worker to freeze between two transactions")


@ON_POSTGRES
async def test_a_worker_frozen_past_its_lease_sends_nothing_for_it_and_moves_nothing(split: Stack) -> None:
    frozen, other = split.workers
    await other.stop()
    job_id = await split.created(marked("slow=1.5", "duration=0.05", "callback=lost"))
    await split.in_phase(job_id, "submitting")
    await until(lambda: has_task(split, job_id), what="the POST to arrive")
    await freeze_outside_of_transactions(split, frozen)
    await other.start()
    await split.ledger.end_lease(job_id)
    settled = await split.hurried(job_id)
    assert settled["phase"] == "completed"
    frozen.thaw()

    async def is_told() -> bool:
        return bool((await split.job(job_id))["attempts"][0]["answered_at"])

    await until(is_told, what="the late answer to be kept")
    assert (await split.job(job_id))["events"] == settled["events"]
    assert len(await split.tasks(job_id)) == 1


@ON_POSTGRES
async def test_a_worker_frozen_between_claim_and_post_sends_nothing_when_it_goes_on(split: Stack) -> None:
    frozen, other = split.workers
    await other.stop()
    await frozen.stop()
    await frozen.start(ORCHESTRATOR_CRASHPOINT="before_post", ORCHESTRATOR_CRASHSIGNAL="SIGSTOP")
    job_id = await split.created()
    await until(frozen.is_frozen, what="the worker to freeze")
    await other.start()
    await split.ledger.end_lease(job_id)
    ended = await split.hurried(job_id)
    assert (ended["phase"], ended["attempt"]) == ("completed", 2)
    assert ended["attempts"][0]["outcome"] == "not_there"
    frozen.thaw()
    await frozen.stop()
    assert len(await split.tasks(job_id)) == 1
    assert (await split.job(job_id))["events"] == ended["events"]
    await frozen.start()


@ON_POSTGRES
async def test_a_claim_that_was_frozen_but_not_taken_over_goes_back_unsent(split: Stack) -> None:
    frozen, other = split.workers
    await other.stop()
    await frozen.stop()
    await frozen.start(ORCHESTRATOR_CRASHPOINT="before_post", ORCHESTRATOR_CRASHSIGNAL="SIGSTOP")
    job_id = await split.created()
    await until(frozen.is_frozen, what="the worker to freeze")
    claimed = asyncio.get_running_loop().time()

    async def is_old() -> bool:
        return asyncio.get_running_loop().time() - claimed > 1.1

    await until(is_old, what="the claim to grow old")
    frozen.thaw()
    given_back = await split.after_verb(job_id, "give_back")
    assert given_back["attempts"][0]["outcome"] == "not_sent"
    await other.start()
    await all_ended(split, [job_id])
    await assert_paid_once(split, [job_id])


async def has_task(stack: Stack, job_id: str) -> bool:
    return bool(await stack.tasks(job_id))


async def test_sigterm_under_load_ends_within_ten_seconds_with_nothing_in_doubt(own_stack: Stack) -> None:
    stack = own_stack
    ids = [await stack.created(marked("slow=0.3", "duration=0.1")) for _ in range(30)]
    took_s = await stack.up.stop()
    assert took_s < 10
    doubts = await stack.ledger.one("SELECT count(*) FROM events WHERE verb = 'doubt'")
    assert doubts == 0
    await stack.up.start()
    await all_ended(stack, ids)
    assert len(await stack.tasks()) == len(ids)


async def test_an_idle_process_ends_at_once(own_stack: Stack) -> None:
    await own_stack.ended(await own_stack.created())
    assert await own_stack.up.stop() < 1.5


async def test_a_slow_post_at_sigterm_is_in_doubt_and_found_again(own_stack: Stack) -> None:
    stack = own_stack
    job_id = await stack.created(marked("slow=15", "duration=0.05", "callback=lost"))
    await until(lambda: has_task(stack, job_id))
    assert await stack.up.stop(within=11) < 10
    phase = await stack.ledger.one("SELECT phase FROM jobs WHERE id = :id", id=job_id)
    assert phase == "in_doubt"
    await stack.up.start()
    await all_ended(stack, [job_id])
    assert len(await stack.tasks(job_id)) == 1


async def test_held_sync_requests_get_5004_at_sigterm(own_stack: Stack) -> None:
    stack = own_stack
    held = [asyncio.create_task(stack.submit(marked("hold"), enable_sync_mode=True)) for _ in range(3)]

    async def are_accepted() -> bool:
        return int(await stack.ledger.one("SELECT count(*) FROM jobs WHERE phase = 'accepted'")) == 3

    await until(are_accepted)
    assert await stack.up.stop() < 5
    for answer in await asyncio.gather(*held):
        told = answer.json()["data"]
        assert (answer.status_code, told["status"], told["code"]) == (200, "processing", 5004)
        assert told["urls"]["get"].startswith(stack.url)
    await stack.up.start()
    for task in await stack.tasks():
        await stack.control("finish", id=task["id"])
    await all_ended(stack, await stored_ids(stack))


@ON_POSTGRES
async def test_rolling_restarts_under_load_hide_behind_a_clients_retry(split: Stack) -> None:
    ids: list[str] = []
    jobs = await split.ledger.count_jobs()
    is_over = asyncio.Event()

    async def submit_on() -> None:
        while not is_over.is_set():
            ids.append(await split.created())

    load = asyncio.create_task(submit_on())
    for worker in split.workers:
        assert await worker.stop() < 10
        await worker.start()
    is_over.set()
    await load
    assert await split.ledger.count_jobs() == jobs + len(ids)
    await all_ended(split, ids)
    await assert_paid_once(split, ids)
