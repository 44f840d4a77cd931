"""The streams of events say what the API description says of them; they have no end, so no fuzzer sees it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.e2e.described import strict
from tests.e2e.listening import Heard, Listening, listening
from tests.e2e.stack import FLUX, Json, Stack, data_of, marked
from tests.e2e.test_tenants import key_of_another

OF_ALL, OF_JOB = "/api/v3/events", "/api/{version}/predictions/{id}/events"
ENDS = ("job.completed", "job.failed", "batch.completed")
TOMORROW = "2100-01-01T00:00:00Z"


class Described:
    """What the description of a running server says of one stream; no field may be there that it lacks."""

    def __init__(self, document: Json, path: str) -> None:
        document = strict(document, webhook="")
        self._components = document["components"]
        self._responses = document["paths"][path]["get"]["responses"]
        self._event = self._responses["200"]["content"]["text/event-stream"]["schema"]

    def validate_event(self, heard: Heard) -> None:
        frame = {"event": heard.event, "data": json.dumps(heard.data)} | (
            {"id": heard.id} if heard.id else {}
        )
        self._validate(self._event, frame)
        self._validate(self._event["properties"]["data"]["contentSchema"], heard.data)

    def validate_refusal(self, answer: httpx.Response) -> None:
        told = self._responses[str(answer.status_code)]
        self._validate(told["content"]["application/json"]["schema"], answer.json())
        assert {name.lower() for name in told.get("headers", ())} <= answer.headers.keys()

    def _validate(self, schema: Json, instance: Any) -> None:
        jsonschema_rs.validator_for(schema | {"components": self._components}).validate(instance)


async def described(stack: Stack, path: str) -> Described:
    return Described((await stack.http.get("/openapi.json")).json(), path)


async def until_ended(stream: Listening, *ids: str) -> list[Heard]:
    """All that is told until each of these has ended."""
    heard, open_ids = list[Heard](), set(ids)
    while open_ids:
        heard.append(await stream.next())
        if heard[-1].event in ENDS:
            open_ids.discard(heard[-1].data["id"])
    return heard


async def until_moved(stream: Listening, move: str, *, batch: str) -> list[Heard]:
    """All that is told until a job of the batch has made this move."""
    heard = [await stream.next()]
    while (heard[-1].data["move"], heard[-1].data["batch"]) != (move, batch):
        heard.append(await stream.next())
    return heard


async def batch_of(stack: Stack, *prompts: str, **more: Any) -> str:
    body = {"model": FLUX, "inputs": [{"prompt": prompt} for prompt in prompts], **more}
    return str(data_of(await stack.http.post("/api/v3/batches", json=body))["id"])


async def order(stack: Stack, batch: str, verb: str) -> None:
    data_of(await stack.http.post(f"/api/v3/batches/{batch}/{verb}"))


async def test_every_event_of_jobs_is_described(either: Stack) -> None:
    everything, alone = await described(either, OF_ALL), await described(either, OF_JOB)
    prompts = ("a lake", marked("refuse=400"), marked("busy=1"), marked("answer=drop", "callback=lost"))
    async with listening(either) as stream:
        jobs = [await either.created(prompt) for prompt in prompts]
        jobs.append(await either.created("a hill", params={"not_before": TOMORROW}))
        await either.act(jobs[-1], "cancel")
        for job in jobs:
            await either.hurried(job)
        heard = await until_ended(stream, *jobs)
        await either.act(jobs[1], "redrive")
        heard += await until_ended(stream, jobs[1])
    for one in heard:
        everything.validate_event(one)
    assert {one.data["move"] for one in heard} >= {
        *("create", "claim", "accept", "complete", "doubt", "retry", "wake", "fail", "redrive")
    }
    for job in jobs:
        async with listening(either, f"/api/v3/predictions/{job}/events") as stream:
            told = await stream.rest()
        assert told[-1].event in ENDS
        for one in told:
            alone.validate_event(one)


async def test_every_event_of_batches_is_described(either: Stack) -> None:
    everything = await described(either, OF_ALL)
    async with listening(either) as stream:
        done = await batch_of(either, "a boat", marked("refuse=400"))
        heard = await until_ended(stream, done)
        stopped = await batch_of(either, "a boat", not_before=TOMORROW)
        heard += await until_moved(stream, "schedule", batch=stopped)
        for verb, move in (("pause", "hold"), ("resume", "schedule"), ("cancel", "fail")):
            await order(either, stopped, verb)
            heard += await until_moved(stream, move, batch=stopped)
        heard += await until_ended(stream, stopped)
    for one in heard:
        everything.validate_event(one)
    ends = {one.data["id"]: one.data["status"] for one in heard if one.event == "batch.completed"}
    assert ends == {done: "completed", stopped: "cancelled"}


async def test_the_event_that_asks_to_look_anew_is_described(either: Stack) -> None:
    everything = await described(either, OF_ALL)
    async with listening(either, last_id="fffffffffffff-1") as stream:
        reset = await stream.next()
    assert reset.event == "reset"
    everything.validate_event(reset)


BAD_IDS = ("yesterday", "1-", "0-0-0", "G-1", "0" * 16 + "-0", "-1-0", "١-0")


@pytest.mark.parametrize("path", [OF_ALL, OF_JOB])
@pytest.mark.parametrize(
    ("params", "headers", "field"),
    [
        *(({"last_event_id": one}, {}, "last_event_id") for one in BAD_IDS),
        *(({}, {"last-event-id": one}, "Last-Event-ID") for one in BAD_IDS if one.isascii()),
        ({"last_event_id": BAD_IDS[0]}, {"last-event-id": "0-1"}, "last_event_id"),
        ({"types": "job.gone"}, {}, "types"),
        ({"types": "job.completed,reset"}, {}, "types"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_its_name(
    stack: Stack, path: str, params: dict[str, str], headers: dict[str, str], field: str
) -> None:
    url = path.format(version="v3", id=await stack.created())
    answer = await stack.http.get(url, params=params, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    (await described(stack, path)).validate_refusal(answer)


@pytest.mark.parametrize(
    ("params", "scopes", "status"),
    [
        ({"job": "0" * 32, "batch": "0" * 32}, "read", 400),
        ({"types": "a\0b"}, "read", 400),
        ({}, None, 401),
        ({}, "submit admin", 403),
        ({"job": "0" * 32}, "read", 404),
        ({"batch": "no id at all"}, "read", 404),
    ],
)
async def test_every_refusal_of_the_stream_of_all_is_described(
    stack: Stack, params: dict[str, str], scopes: str | None, status: int
) -> None:
    key = await key_of_another(stack, scopes=scopes) if scopes else {"authorization": ""}
    answer = await stack.http.get(OF_ALL, params=params, headers=key)
    assert answer.status_code == status, answer.text
    (await described(stack, OF_ALL)).validate_refusal(answer)


@pytest.mark.parametrize(
    ("identifier", "scopes", "status"),
    [("a%00b", "read", 400), ("mine", None, 401), ("mine", "submit", 403), ("mine", "read", 404)],
)
async def test_every_refusal_of_a_jobs_stream_is_described(
    stack: Stack, identifier: str, scopes: str | None, status: int
) -> None:
    key = await key_of_another(stack, scopes=scopes) if scopes else {"authorization": ""}
    job = await stack.created() if identifier == "mine" else identifier
    answer = await stack.http.get(OF_JOB.format(version="v3", id=job), headers=key)
    assert answer.status_code == status, answer.text
    (await described(stack, OF_JOB)).validate_refusal(answer)
