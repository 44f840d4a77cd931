"""The WaveSpeed adapter against the sandbox, a process of its own over real HTTP with its own signer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest

from orchestrator.clock import MINUTE, SECOND, Clock
from orchestrator.evidence import Error, ErrorKind, Evidence, Status
from orchestrator.providers.base import History, Submission, TaskRef
from orchestrator.providers.wavespeed import WaveSpeed
from orchestrator.signing import Verdict
from tests.net.raw_server import RawServer, answer_ok, serving
from tests.providers.conformance import assert_refusal
from tests.providers.dialect import as_json, client_to

MODEL = "wavespeed-ai/flux-dev"


@dataclass
class Door:
    """The adapter of one account of the sandbox, and the place its callbacks come to."""

    adapter: WaveSpeed
    client: httpx.AsyncClient
    callbacks: RawServer

    async def submit(self, prompt: str, *, callback_url: str | None = None) -> Evidence:
        return await self.adapter.submit(
            Submission(
                model=MODEL,
                api_version="v3",
                input=as_json({"prompt": prompt}),
                callback_url=callback_url,
            )
        )

    async def submit_and_hear(self, prompt: str) -> tuple[Evidence, bytes]:
        """The answer, and the callback at the task's end."""
        evidence = await self.submit(prompt, callback_url=f"{self.callbacks.url}/cb?token=a%2Fb&x=1")
        await self.callbacks.wait_for_requests(1)
        return evidence, self.callbacks.requests[0]

    async def poll(self, evidence: Evidence) -> Evidence:
        assert evidence.provider_id is not None
        return await self.adapter.poll(
            TaskRef(provider_id=evidence.provider_id, model=MODEL, api_version="v3")
        )

    async def submits(self, key: str) -> list[dict[str, Any]]:
        log = (await self.client.get("/control/requests")).json()["requests"]
        return [entry for entry in log if key in entry.values()]


@pytest.fixture(scope="module")
async def sandbox_url() -> AsyncIterator[str]:
    arguments = ["-m", "orchestrator.sandbox", "--port", "0", "--duration", "0"]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("sandbox ready at "), line
    yield line.split()[-1]
    process.terminate()
    await process.wait()


@asynccontextmanager
async def opened(url: str, key: str) -> AsyncIterator[Door]:
    async with client_to(url, key=key) as client, serving(answer_ok) as callbacks:
        yield Door(WaveSpeed(client, clock=Clock(), deadline_s=5), client, callbacks)


@pytest.fixture
async def door(sandbox_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """Each test is an account of its own."""
    async with opened(sandbox_url, key_of(request)) as door:
        yield door


def key_of(request: pytest.FixtureRequest) -> str:
    return "key-" + "".join(filter(str.isalnum, request.node.name.replace("wrong", "")))


def request_parts(request: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [(name.lower(), value.strip()) for name, _, value in pairs], body


async def test_a_task_goes_from_the_post_to_a_callback_that_verifies_and_a_poll_that_agrees(
    door: Door,
) -> None:
    accepted, callback = await door.submit_and_hear("a lighthouse")
    assert accepted.status is Status.ACCEPTED
    headers, body = request_parts(callback)
    now = Clock().now()
    assert callback.startswith(b"POST /cb?token=a%2Fb&x=1 HTTP/1.1\r\n")
    assert await door.adapter.verify(headers, body, now=now) is Verdict.VALID
    assert await door.adapter.verify(headers, body + b" ", now=now) is Verdict.INVALID
    assert await door.adapter.verify(headers, body, now=now + 10 * MINUTE) is Verdict.STALE
    told, asked = door.adapter.parse_callback(body), await door.poll(accepted)
    assert told is not None
    assert told.status is asked.status is Status.COMPLETED
    assert told.result == asked.result
    assert told.provider_id == asked.provider_id == accepted.provider_id
    assert asked.result is not None
    assert len(asked.result.outputs) == 1


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("busy", Status.REFUSED, ErrorKind.UNAVAILABLE),
        ("refuse=503, html", Status.UNKNOWN, ErrorKind.LOST),
        ("refuse=500", Status.UNKNOWN, ErrorKind.LOST),
        ("refuse=429, retry-after=7", Status.REFUSED, ErrorKind.THROTTLED),
        ("refuse=403", Status.REFUSED, ErrorKind.ACCOUNT),
        ("refuse=400", Status.REFUSED, ErrorKind.REJECTED),
        ("no-credit", Status.REFUSED, ErrorKind.ACCOUNT),
        ("no-reason", Status.REFUSED, ErrorKind.UNCLEAR),
        ("lost-answer", Status.UNKNOWN, ErrorKind.LOST),
        ("answer=cut", Status.UNKNOWN, ErrorKind.LOST),
        ("answer=500", Status.UNKNOWN, ErrorKind.LOST),
        ("answer=504, html", Status.UNKNOWN, ErrorKind.LOST),
        ("answer=garbage", Status.UNKNOWN, ErrorKind.LOST),
        ("answer=empty", Status.UNKNOWN, ErrorKind.LOST),
    ],
)
async def test_each_fault_of_the_post_has_its_class_and_is_posted_once(
    door: Door, request: pytest.FixtureRequest, fault: str, status: Status, kind: ErrorKind
) -> None:
    evidence = await door.submit(f"a lighthouse [fault: {fault}]")
    assert_refusal(evidence, status, kind)
    assert evidence.error is not None
    assert evidence.error.retry_after_s == (7 if "retry-after" in fault else None)
    assert len(await door.submits(key_of(request))) == 1


async def look_up(door: Door, *, after: int, before: int, model: str = MODEL) -> History | Error:
    return await door.adapter.look_up(model, after=after, before=before, is_alike=lambda _: True)


async def test_a_task_whose_answer_was_lost_is_found_with_its_input(door: Door) -> None:
    began = Clock().now()
    await door.submit("the lost one [fault: lost-answer]")
    await door.submit("another one")
    history = await look_up(door, after=began, before=Clock().now() + SECOND)
    assert isinstance(history, History)
    assert [task.inputs for task in history.tasks] == [
        {"prompt": "the lost one [fault: lost-answer]"},
        {"prompt": "another one"},
    ]
    too_early = await look_up(door, after=0, before=began - 1)
    of_another = await look_up(door, after=began, before=Clock().now(), model="wavespeed-ai/other")
    for empty in (too_early, of_another):
        assert isinstance(empty, History)
        assert (empty.tasks, empty.is_whole) == ([], True)


@pytest.mark.parametrize("on_history", ["refuse=500", "answer=drop", "answer=garbage"])
async def test_a_history_in_trouble_is_an_error(door: Door, on_history: str) -> None:
    script = msgspec.json.encode({"fault": on_history, "on": "history", "count": 1})
    await door.client.post("/control/faults", content=script)
    assert isinstance(await look_up(door, after=0, before=Clock().now()), Error)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("fail=1200", Status.FAILED, ErrorKind.REJECTED),
        ("fail=5000", Status.FAILED, ErrorKind.TASK_FAILED),
        ("outputs=nul", Status.FAILED, ErrorKind.REJECTED),
        ("outputs=nan", Status.FAILED, ErrorKind.REJECTED),
        ("outputs=lone", Status.FAILED, ErrorKind.REJECTED),
        ("outputs=types", Status.COMPLETED, None),
        ("outputs=none", Status.COMPLETED, None),
    ],
)
async def test_each_end_of_a_task_has_its_class(
    door: Door, fault: str, status: Status, kind: ErrorKind | None
) -> None:
    accepted, _ = await door.submit_and_hear(f"a lighthouse [fault: {fault}]")
    evidence = await door.poll(accepted)
    assert evidence.status is status
    assert (evidence.error.kind if evidence.error else None) == kind


async def test_a_running_task_is_accepted_and_one_out_of_sight_is_gone(door: Door) -> None:
    held = await door.poll(await door.submit("a lighthouse [fault: hold]"))
    gone = await door.poll(await door.submit("a lighthouse [fault: gone=60]"))
    assert (held.status, gone.status) == (Status.ACCEPTED, Status.GONE)


async def test_a_working_account_tells_its_balance(door: Door) -> None:
    account = await door.adapter.account()
    assert account.trouble == ""
    assert account.balance is not None
    assert account.balance > 0


async def test_a_wrong_key_is_told_as_such_and_never_shown(sandbox_url: str) -> None:
    async with opened(sandbox_url, "some-wrong-key") as door:
        evidence = await door.submit("a lighthouse")
        account = await door.adapter.account()
    assert_refusal(evidence, Status.REFUSED, ErrorKind.ACCOUNT)
    assert "WAVESPEED_API_KEY" in account.trouble
    assert "some-wrong-key" not in msgspec.json.encode([evidence, account]).decode()
