"""The command `watch`, as people call it: what it shows, and that a server which goes away is waited for."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.e2e.program import until
from tests.e2e.shell import Shell
from tests.e2e.stack import FLUX, Stack, data_of, marked


async def test_one_job_is_shown_from_its_beginning_and_its_failure_is_the_exit_code(
    stack: Stack, tmp_path: Path
) -> None:
    good, bad = await stack.created(), await stack.created(marked("refuse=400"))
    shell = Shell(stack, tmp_path)
    told = await shell.call("watch", "--job", good)
    assert told.status == 0, told.said
    lines = [line.split() for line in told.out.splitlines()]
    assert [line[1] for line in lines] == ["created", "processing", "processing", "completed"]
    assert {line[2] for line in lines} == {good}
    told = await shell.call("watch", "--job", bad, "--json")
    assert told.status == 1, told.said
    assert json.loads(told.out.splitlines()[-1])["event"] == "job.failed"


async def test_a_batch_that_has_ended_is_not_waited_for(stack: Stack, tmp_path: Path) -> None:
    body = {"model": FLUX, "inputs": [{"prompt": "a boat"}]}
    batch = data_of(await stack.http.post("/api/v3/batches", json=body))["id"]

    async def has_ended() -> bool:
        return bool(data_of(await stack.http.get(f"/api/v3/batches/{batch}"))["state"] == "completed")

    await until(has_ended, what="the batch to end")
    told = await Shell(stack, tmp_path).call("watch", "--batch", batch)
    assert (told.status, told.out) == (0, "")
    assert "has ended already" in told.err


async def test_what_happened_while_the_server_was_away_is_shown_once_it_is_back(
    own_stack: Stack, tmp_path: Path
) -> None:
    stack = own_stack
    watching = Shell(stack, tmp_path).started("watch", "--json")

    def shown() -> list[str]:
        lines = [json.loads(line) for line in watching.said().splitlines() if line.startswith("{")]
        return [f"{one['id']} {one['move']}" for one in lines]

    first = await stack.created()

    async def is_listening() -> bool:
        nonlocal first
        first = await stack.created()
        return bool(shown())

    await until(is_listening, what="the command to show something")
    await stack.ended(first)
    await stack.up.kill()
    await stack.up.start()
    second = await stack.created()
    await stack.ended(second)

    async def is_shown() -> bool:
        return f"{second} complete" in shown()

    await until(is_shown, what="the second job to be shown")
    for job_id in (first, second):
        steps = [line.split()[1] for line in shown() if line.startswith(job_id)]
        assert steps == [event["verb"] for event in (await stack.job(job_id))["events"]]
    watching.send(signal.SIGINT)
    assert await watching.ends() == 0
    assert "Traceback" not in watching.said()
    assert watching.said().count("Cut off") == 1


async def test_ctrl_c_before_the_jobs_end_is_told_by_the_exit_code(stack: Stack, tmp_path: Path) -> None:
    job_id = await stack.created(marked("hold"))
    watching = Shell(stack, tmp_path).started("watch", "--job", job_id)

    async def is_shown() -> bool:
        return job_id in watching.said()

    await until(is_shown, what="the job to be shown")
    watching.send(signal.SIGINT)
    assert await watching.ends() == 130
    assert "Traceback" not in watching.said()


async def test_a_batch_and_a_job_together_are_refused(stack: Stack, tmp_path: Path) -> None:
    told = await Shell(stack, tmp_path).call("watch", "--batch", "a", "--job", "b")
    assert told.status == 2
    assert "either a batch or a job" in told.err
