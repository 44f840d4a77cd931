"""The commands for webhooks, as people call them, against a server with a receiver beside it."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.e2e.hooked import Hooked, path_of
from tests.e2e.program import PROJECT
from tests.e2e.stack import Stack
from tests.e2e.test_redelivery import ended_delivery, read


async def called(stack: Stack, *words: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `orchestrator` with these words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "orchestrator.cli", *words, "--url", stack.url, "--key", stack.key),
        env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT)},
        cwd=stack.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_dead_deliveries_are_listed_with_their_last_answer(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410")
    dead = await ended_delivery(hooked, path, "dead", "?token=secret")
    status, out, _ = await called(stack, "deliveries", "--state", "dead", "--job", dead.rpartition("-")[0])
    assert (status, len(out.splitlines())) == (0, 2)
    assert out.splitlines()[1].split()[:4] == [dead, receiver.url + path, "dead", "410"]


async def test_one_delivery_is_shown_with_each_answer(hooked: Hooked) -> None:
    stack, _ = hooked
    delivered = await ended_delivery(hooked, path_of("500,200"), "delivered")
    status, out, _ = await called(stack, "delivery", delivered)
    assert status == 0
    tries = [line.split() for line in out.splitlines()[-2:]]
    assert [(words[0], words[4], " ".join(words[5:])) for words in tries] == [
        ("1", "500", "thank you"),
        ("2", "200", "thank you"),
    ]


async def test_what_cannot_be_sent_again_is_told_and_the_rest_is_done(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410,200")
    dead = await ended_delivery(hooked, path, "dead")
    status, out, err = await called(stack, "redeliver", "nope", dead)
    assert (status, out) == (1, f"{dead} is sent again.\n")
    assert err == "nope: There is no such delivery.\n"
    await receiver.wait_for(path, 2)


async def test_all_that_died_lately_are_counted_first_and_then_sent_again(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410,200")
    dead = await ended_delivery(hooked, path, "dead")
    status, out, _ = await called(stack, "redeliver", "--dead-since", "2h", "--dry-run")
    assert status == 0
    assert out.endswith(" would be sent again.\n")
    assert (await read(stack, dead))["state"] == "dead"
    count = out.split()[0]
    assert (await called(stack, "redeliver", "--dead-since", "2h"))[:2] == (0, f"{count} are sent again.\n")
    await receiver.wait_for(path, 2)


async def test_redeliver_without_saying_what_sends_nothing(hooked: Hooked) -> None:
    stack, _ = hooked
    for words in ([], ["some", "--dead-since", "2h"], ["some", "--dry-run"]):
        status, out, err = await called(stack, "redeliver", *words)
        assert (status, out) == (2, "")
        assert "either IDs, or --dead-since" in err
