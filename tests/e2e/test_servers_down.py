"""Redis and PostgreSQL fail under load, and what a process says when it cannot start."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis import Redis

from tests.e2e.invariants import check_invariants
from tests.e2e.listening import listening
from tests.e2e.program import Program, answers_at, free_port, until
from tests.e2e.stack import SECRET, Stack, marked, split_stack
from tests.e2e.test_crashes import all_ended, end_leases_of_the_dead
from tests.services.postgres import PostgresProcess
from tests.services.valkey import ValkeyProcess


@pytest.fixture
async def own_redis(
    new_postgres_database: Callable[[], str], own_valkey: ValkeyProcess
) -> AsyncIterator[tuple[Stack, ValkeyProcess]]:
    """A split stack with a Valkey that may die."""
    async with split_stack(database_url=new_postgres_database(), redis_url=own_valkey.url) as stack:
        yield stack, own_valkey
        await check_invariants(stack)


async def bell_of(stack: Stack) -> str:
    return str((await stack.http.get("/api/v3/lanes")).json()["data"]["bell"])


async def test_flushall_under_load_loses_nothing(own_redis: tuple[Stack, ValkeyProcess]) -> None:
    stack, valkey = own_redis
    ids = []
    with Redis.from_url(valkey.url) as redis:
        for _ in range(10):
            ids += [await stack.created() for _ in range(3)]
            redis.flushall()
    await asyncio.gather(*(stack.ended(job_id, within=10) for job_id in ids))
    assert len(await stack.tasks()) == len(ids)


async def test_a_redis_that_does_not_let_us_in_is_named_and_stops_no_job(
    new_postgres_database: Callable[[], str], own_valkey: ValkeyProcess
) -> None:
    with Redis.from_url(own_valkey.url) as redis:
        redis.config_set("requirepass", "the-password")
    wrong = own_valkey.url.replace("unix://", "unix://:not-the-password@")
    async with split_stack(database_url=new_postgres_database(), redis_url=wrong, workers=1) as stack:
        assert (await stack.ended(await stack.created()))["phase"] == "completed"
        (worker,) = stack.workers

        async def says_why() -> bool:
            return "invalid username-password pair" in worker.said()

        await until(says_why, what="the reason in the log")
        assert "not-the-password" not in worker.said()


async def test_a_worker_that_cannot_touch_its_file_any_more_works_on(
    new_postgres_database: Callable[[], str],
) -> None:
    no_bell = "redis://127.0.0.1:1"
    async with split_stack(database_url=new_postgres_database(), redis_url=no_bell, workers=1) as stack:
        (tick,) = (stack.folder / "data").glob("worker-*.tick")
        tick.unlink()
        tick.symlink_to(stack.folder / "gone" / "tick")
        (worker,) = stack.workers

        async def has_said_so() -> bool:
            return "tick.untold" in worker.said()

        await until(has_said_so, what="the trouble in the log")
        assert (await stack.ended(await stack.created()))["phase"] == "completed"
        await worker.stop()
        worker.spawn()
        assert await worker.ends() == 1
        assert "No such file or directory" in worker.said()
        assert "Traceback" not in worker.said()


async def test_without_redis_work_goes_on_by_the_tick_and_the_bell_comes_back(
    own_redis: tuple[Stack, ValkeyProcess],
) -> None:
    stack, valkey = own_redis
    valkey.kill()
    ids = [await stack.created() for _ in range(10)]
    await asyncio.gather(*(stack.ended(job_id, within=8) for job_id in ids))
    assert "down" in await bell_of(stack)
    assert (await stack.http.get("/ready")).json()["data"]["bell"] == "down"
    valkey.restart()

    async def is_rung() -> bool:
        ended = await stack.ended(await stack.created())
        return bool(await bell_of(stack) == "up" and ended["seconds"] < 0.4)

    await until(is_rung, within=20, what="the bell to come back")


@pytest.fixture
async def own_database(
    own_postgres: PostgresProcess, new_valkey_url: Callable[[], str]
) -> AsyncIterator[tuple[Stack, PostgresProcess]]:
    """A split stack with a PostgreSQL that may die."""
    async with split_stack(database_url=own_postgres.url, redis_url=new_valkey_url()) as stack:
        yield stack, own_postgres
        await check_invariants(stack)


async def test_a_stream_lives_on_while_the_database_restarts(
    own_database: tuple[Stack, PostgresProcess],
) -> None:
    stack, postgres = own_database
    async with listening(stack) as stream:
        await stack.ended(await stack.created())
        await stream.until("job.completed")
        postgres.kill()
        postgres.restart()

        async def is_taken() -> str | None:
            answer = await stack.submit()
            return str(answer.json()["data"]["id"]) if answer.status_code == 200 else None

        job_id = await until(is_taken, within=20, what="the database to take a job")
        await stack.ended(str(job_id))
        heard = await stream.until("job.completed")
        while heard[-1].data["id"] != job_id:
            heard += await stream.until("job.completed")
    told = [one.data["move"] for one in heard if one.data["id"] == job_id]
    assert told == [event["verb"] for event in (await stack.job(str(job_id)))["events"]]


async def test_postgres_down_for_a_while_is_503_meanwhile_and_nothing_is_lost(
    own_database: tuple[Stack, PostgresProcess],
) -> None:
    stack, postgres = own_database
    held = [await stack.created(marked("hold")) for _ in range(5)]
    for job_id in held:
        await stack.in_phase(job_id, "accepted")
    ids = [*held, *[await stack.created(marked("slow=2", "duration=0.05")) for _ in range(5)]]
    await until(lambda: are_all_sent(stack, len(ids)), what="the POSTs to arrive")
    postgres.kill()
    refused = await asyncio.gather(*(stack.submit() for _ in range(5)))
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert (await stack.http.get("/ready")).status_code == 503
    assert (await stack.http.get("/health")).status_code == 200
    await stack.control("finish")
    await until(lambda: is_a_callback_refused(stack), what="callbacks to be refused")
    postgres.restart()

    async def takes_jobs() -> bool:
        answer = await stack.submit()
        if answer.status_code == 200:
            ids.append(answer.json()["data"]["id"])
        return answer.status_code == 200

    await until(takes_jobs, what="jobs to be taken again")
    await all_ended(stack, ids)
    assert len(await stack.tasks()) == len(ids) == await stack.ledger.count_jobs()
    for program in stack.programs:
        assert "The database cannot be reached right now" in program.said(), program.name


async def test_processes_end_within_ten_seconds_though_postgres_answers_nothing(
    own_postgres: PostgresProcess, new_valkey_url: Callable[[], str]
) -> None:
    async with split_stack(database_url=own_postgres.url, redis_url=new_valkey_url(), workers=1) as stack:
        ids = [await stack.created(marked("slow=1", "duration=0.05")) for _ in range(5)]
        await until(lambda: are_all_sent(stack, len(ids)), what="the POSTs to arrive")
        with own_postgres.frozen():
            asking = [asyncio.create_task(stack.submit()) for _ in range(5)]
            await until(lambda: are_answered_by_the_provider(stack, len(ids)), what="the answers to wait")
            for program in stack.programs:
                program.send(signal.SIGTERM)
            await asyncio.gather(*(program.ends(within=10) for program in stack.programs))
            await asyncio.gather(*asking, return_exceptions=True)
        for program in stack.programs:
            await program.start()
        await end_leases_of_the_dead(stack, alive=stack.workers)
        await all_ended(stack, ids)
        for job_id in ids:
            assert len(await stack.tasks(job_id)) == 1


async def are_answered_by_the_provider(stack: Stack, count: int) -> bool:
    """Its tasks have ended, so their callbacks and the workers' answers are held by the database."""
    ended = [task for task in await stack.tasks() if task["status"] == "completed"]
    return len(ended) == count


async def are_all_sent(stack: Stack, count: int) -> bool:
    return len(await stack.tasks()) == count


async def is_a_callback_refused(stack: Stack) -> bool:
    """While the database is away callbacks are answered 503, for the sender to repeat them."""
    return 503 in [note["answer"] for task in await stack.tasks() for note in task["callbacks"]]


async def test_a_second_up_on_the_same_data_says_so_and_ends(own_stack: Stack) -> None:
    settings = dict(own_stack.up.env)
    second = second_program(own_stack, ["orchestrator.cli", "up", "--port", str(free_port())], settings)
    second.spawn()
    assert await second.ends() == 2
    assert "Another `orchestrator up` runs" in second.said()
    assert "Traceback" not in second.said()
    assert (await own_stack.ended(await own_stack.created()))["phase"] == "completed"


def second_program(stack: Stack, words: list[str], env: dict[str, str]) -> Program:
    return Program("second", words, stack.folder, answers_at(stack.url), env)


async def test_up_on_a_taken_port_says_so(own_stack: Stack) -> None:
    port = own_stack.url.rpartition(":")[2]
    settings = {**own_stack.up.env, "ORCHESTRATOR_DATA_DIR": str(own_stack.folder / "another")}
    second = second_program(own_stack, ["orchestrator.cli", "up", "--port", port], settings)
    second.spawn()
    assert await second.ends() == 2
    assert port in second.said()
    assert "Traceback" not in second.said()


async def test_serve_says_where_it_listens_whatever_it_is_called_outside(
    new_postgres_database: Callable[[], str], new_valkey_url: Callable[[], str]
) -> None:
    where: dict[str, Any] = {"database_url": new_postgres_database(), "redis_url": new_valkey_url()}
    async with split_stack(**where, workers=0, PUBLIC_URL="https://jobs.example.com") as stack:
        (server,) = stack.servers
        assert f"The API listens at {stack.url}." in server.said()


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["worker"]])
@pytest.mark.parametrize(
    ("missing", "says"),
    [("migration", "orchestrator migrate"), ("secret", "ORCHESTRATOR_SECRET"), ("database", "DATABASE_URL")],
)
async def test_what_is_missing_is_named_with_what_to_do(
    stack: Stack, new_postgres_database: Callable[[], str], words: list[str], missing: str, says: str
) -> None:
    env = {
        "DATABASE_URL": new_postgres_database(),
        "REDIS_URL": "redis://127.0.0.1:1",
        "ORCHESTRATOR_SECRET": SECRET,
    }
    if missing == "secret":
        del env["ORCHESTRATOR_SECRET"]
    if missing == "database":
        env["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    program = second_program(stack, ["orchestrator.cli", *words], env)
    program.name = f"{words[0]}-without-{missing}"
    program.spawn()
    assert await program.ends() == 2
    assert says in program.said()
    assert "Traceback" not in program.said()


async def test_a_migration_of_a_database_that_is_not_there_says_which_setting_and_why(stack: Stack) -> None:
    env = {"DATABASE_URL": "postgresql://nobody@nowhere.invalid/none"}
    program = second_program(stack, ["orchestrator.cli", "migrate"], env)
    program.name = "migrate-nowhere"
    program.spawn()
    assert await program.ends() == 2
    assert "DATABASE_URL: the database cannot be reached (gaierror: " in program.said()
    assert "Traceback" not in program.said()


async def test_check_says_when_no_worker_runs(
    new_postgres_database: Callable[[], str], new_valkey_url: Callable[[], str]
) -> None:
    env = {
        "DATABASE_URL": new_postgres_database(),
        "REDIS_URL": new_valkey_url(),
        "ORCHESTRATOR_SECRET": SECRET,
    }
    async with split_stack(database_url=env["DATABASE_URL"], redis_url=env["REDIS_URL"], workers=1) as stack:
        checking = second_program(stack, ["orchestrator.cli", "check"], env)
        checking.name = "check"

        async def is_told(words: str) -> None:
            async def says_so() -> bool:
                checking.spawn()
                await checking.ends()
                return words in checking.said()[checking.read_from :]

            await until(says_so, within=30, what=words)

        await is_told("1 runs")
        (worker,) = stack.workers
        await worker.stop()
        await is_told("none runs, so jobs are stored and nothing works on them")
