"""Waiting for the end of a job, whatever the server says in between."""

from __future__ import annotations

import httpx
import pytest

from orchestrator.cli.answers import Job
from orchestrator.cli.client import Client, Server
from orchestrator.cli.failures import Declined
from orchestrator.cli.follow import await_end

STORED = Job(id="j", model="m", status="created", created_at="2026-01-02T03:04:00.000Z")
ENDED = {"id": "j", "model": "m", "status": "completed", "created_at": "2026-01-02T03:04:00.000Z"}


def client(*statuses: int) -> Client:
    """It answers with these, and then that the job has ended."""
    waiting = list(statuses)

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(waiting.pop(0)) if waiting else httpx.Response(200, json={"data": ENDED})

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://x")
    return Client(Server("http://x", "", ""), http)


def test_a_server_that_is_busy_is_asked_again() -> None:
    seen: list[Job] = []

    ended = await_end(client(429, 502, 503, 504), STORED, on_look=seen.append)

    assert ended.is_ended
    assert seen == [STORED] * 4 + [ended]


def test_a_server_that_says_no_is_not() -> None:
    with pytest.raises(Declined):
        await_end(client(404), STORED, on_look=lambda _: None)
