"""Faults at the door, in the answer and of the task do what their table says."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from orchestrator.sandbox.faults import BARE, CALM, SHORTHANDS, parse, still_in_force
from orchestrator.sandbox.protocol import Refusal
from tests.sandbox.conftest import Client, Receiver, is_signed


async def tasks_made(client: Client) -> int:
    return len((await client.control("tasks"))["tasks"])


@pytest.mark.parametrize(
    "words", [*BARE, *SHORTHANDS, "", "busy=2, duration=3", " Lost-Callback , late = 2 "]
)
def test_good_words_make_a_plan(words: str) -> None:
    assert (parse(words) != CALM) == bool(words)


@pytest.mark.parametrize(
    "words", ["bussy", "busy=x", "answer=200", "callback=none", "slow=-1", "outputs=nan2"]
)
def test_a_typo_is_refused_not_ignored(words: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(words)
    assert refused.value.status == 400


def test_times_limits_the_whole_marker_and_without_it_only_the_door_and_the_answer() -> None:
    assert still_in_force(parse("fail, times=2"), earlier=1).fail == 5000
    assert still_in_force(parse("fail, times=2"), earlier=2) is CALM
    later = still_in_force(parse("busy=2, answer=drop, fail"), earlier=2)
    assert (later.busy, later.answer, later.fail) == (0, "", 5000)


@pytest.mark.parametrize(
    ("fault", "status", "is_json"),
    [
        ("busy", 503, True),
        ("refuse", 500, True),
        ("refuse, html", 500, False),
        ("refuse=429", 429, True),
        ("refuse=401", 401, True),
        ("refuse=403", 403, True),
        ("refuse=502, html", 502, False),
        ("no-credit", 200, True),
        ("no-reason", 200, True),
    ],
)
async def test_a_refusal_makes_no_task_and_the_next_submit_goes_through(
    client: Client, fault: str, status: int, is_json: bool
) -> None:
    prompt = f"hill [fault: {fault}]"
    response = await client.submit(prompt=prompt)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/json") == is_json
    if is_json:
        assert response.json()["code"] == (400 if fault.startswith("no-") else status)
        assert "data" not in response.json()
    assert await tasks_made(client) == 0
    assert (await client.created(prompt=prompt))["status"] == "created"


async def test_busy_counts_by_prompt_and_client(client: Client) -> None:
    prompt = "hill [fault: busy=2]"
    statuses = [(await client.submit(prompt=prompt)).status_code for _ in range(3)]
    other = await client.submit(prompt="another " + prompt)
    stranger = await client.http.post(
        "/api/v3/wavespeed-ai/flux-dev", json={"prompt": prompt}, headers={"Authorization": "Bearer s"}
    )
    assert statuses == [503, 503, 200]
    assert other.status_code == stranger.status_code == 503


@pytest.mark.parametrize(("words", "header"), [("refuse=429", None), ("refuse=429, retry-after=7", "7")])
async def test_a_429_comes_with_and_without_retry_after(
    client: Client, words: str, header: str | None
) -> None:
    response = await client.submit(prompt=f"[fault: {words}]")
    assert response.headers.get("retry-after") == header


@pytest.mark.parametrize("words", ["lost-answer", "answer=drop", "answer=cut"])
async def test_a_dropped_answer_leaves_a_task_that_is_called_back(
    client: Client, receiver: Receiver, words: str
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.submit(prompt=f"[fault: {words}]", webhook=receiver.url)
    headers, body = await receiver.next()
    assert is_signed(client, headers, body)
    assert await tasks_made(client) == 1
    assert (await client.control("requests"))["requests"][0]["status"] == 0
    assert (await client.submit(prompt=f"[fault: {words}]")).status_code == 200


@pytest.mark.parametrize(
    ("words", "status", "start"),
    [
        ("answer=500", 500, b'{"code":500'),
        ("answer=502, html", 502, b"<html>"),
        ("answer=504", 504, b'{"code":504'),
        ("answer=garbage", 200, b'{"code":200,"data":{"id":'),
        ("answer=empty", 200, b""),
    ],
)
async def test_a_spoilt_answer_hides_a_task_that_runs(
    client: Client, receiver: Receiver, words: str, status: int, start: bytes
) -> None:
    response = await client.submit(prompt=f"[fault: {words}]", webhook=receiver.url)
    assert response.status_code == status
    assert response.content.startswith(start)
    await receiver.next()
    assert await tasks_made(client) == 1


async def test_a_slow_answer_comes_late_but_the_task_does_not_wait(
    client: Client, receiver: Receiver
) -> None:
    began = asyncio.get_running_loop().time()
    answer = asyncio.create_task(client.submit(prompt="[fault: slow=0.5]", webhook=receiver.url))
    await receiver.next()
    assert not answer.done()
    assert (await answer).status_code == 200
    assert asyncio.get_running_loop().time() - began >= 0.5


@pytest.mark.parametrize("code", [1200, 1400, 1401, 1402, 1403, 1405, 5000, 5003, 5004])
async def test_a_task_fails_with_the_code_that_was_asked_for(
    client: Client, receiver: Receiver, code: int
) -> None:
    created = await client.created(prompt=f"[fault: fail={code}]", webhook=receiver.url)
    _, body = await receiver.next()
    told = json.loads(body)
    assert (told["status"], told["code"], told["outputs"]) == ("failed", code, [])
    assert told["error"]
    assert (await client.result(created["id"]))["code"] == code


async def test_a_held_task_runs_until_it_is_let_go(client: Client, receiver: Receiver) -> None:
    held = await client.created(prompt="[fault: hold]", webhook=receiver.url)
    other = await client.ended()
    assert other["status"] == "completed"
    assert (await client.result(held["id"]))["status"] == "processing"
    assert await client.order("finish", id=held["id"], fail=5003) == {"finished": 1}
    _, body = await receiver.next()
    assert json.loads(body)["code"] == 5003
    assert await client.order("finish") == {"finished": 0}


async def test_duration_is_the_tasks_own(client: Client) -> None:
    assert (await client.ended(prompt="[fault: duration=0.2]"))["timings"]["inference"] >= 200


async def test_a_gone_task_is_404_for_a_while(client: Client) -> None:
    created = await client.ended(prompt="[fault: gone=0.4]")
    path = f"/api/v3/predictions/{created['id']}/result"
    assert (await client.http.get(path)).status_code == 404
    async with asyncio.timeout(5):
        while (await client.http.get(path)).status_code == 404:
            continue


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("none", b'"outputs":[],'),
        ("nul", rb"\u0000"),
        ("nan", b'"outputs":[NaN]'),
        ("types", b'[17,null,{"url":5}]'),
        ("lone", rb"\ud800"),
    ],
)
async def test_strange_outputs_are_called_back_and_polled_alike(
    client: Client, receiver: Receiver, kind: str, part: bytes
) -> None:
    created = await client.created(prompt=f"[fault: outputs={kind}]", webhook=receiver.url)
    headers, body = await receiver.next()
    polled = await client.http.get(f"/api/v3/predictions/{created['id']}")
    assert part in body
    assert part in polled.content
    assert is_signed(client, headers, body)
    assert await tasks_made(client) == 1


async def test_a_huge_output_makes_a_callback_of_50_mb(client: Client, receiver: Receiver) -> None:
    await client.created(prompt="[fault: outputs=huge]", webhook=receiver.url)
    _, body = await receiver.next()
    assert len(body) > 50_000_000
