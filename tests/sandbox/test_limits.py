"""Accounts are held to their tier: submits per minute by 429, tasks at once by queueing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from orchestrator.sandbox.limits import TIERS, Account, Window
from orchestrator.sandbox.options import Options
from orchestrator.sandbox.protocol import Refusal
from orchestrator.sandbox.server import running
from tests.sandbox.conftest import Client


@pytest.fixture
async def sandbox_url() -> AsyncIterator[str]:
    async with running(Options(tier="bronze", duration_s=0.0)) as url:
        yield url


async def test_the_eleventh_image_of_a_bronze_minute_is_429(client: Client) -> None:
    answers = [await client.submit(prompt=f"hill {n}") for n in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert answers[-1].json()["code"] == 429
    assert "retry-after" not in answers[-1].headers
    stats = await client.control("stats")
    assert (stats["tasks"], stats["submits"]) == (10, 12)
    assert (stats["most_admitted_in_60_s"], stats["most_submits_in_60_s"]) == (10, 12)
    assert [entry["status"] for entry in (await client.control("requests"))["requests"]][-1] == 429


async def test_a_fourth_bronze_task_waits_as_created(client: Client) -> None:
    held = [await client.created(prompt=f"hill {n} [fault: hold]") for n in range(4)]
    async with asyncio.timeout(5):
        while (await client.control("stats"))["running"] < 3:
            continue
    states = [(await client.result(task["id"]))["status"] for task in held]
    assert states == ["processing"] * 3 + ["created"]
    await client.order("finish", id=held[0]["id"])
    async with asyncio.timeout(5):
        while (await client.result(held[3]["id"]))["status"] != "processing":
            continue
    stats = await client.control("stats")
    assert (stats["most_running"], stats["most_open"]) == (3, 4)


async def test_accounts_do_not_share_their_limits(client: Client) -> None:
    for n in range(10):
        await client.created(prompt=f"hill {n}")
    other = await client.http.post(
        "/api/v3/wavespeed-ai/flux-dev", json={"prompt": "x"}, headers={"Authorization": "Bearer other"}
    )
    assert other.status_code == 200


def test_a_window_is_any_sixty_seconds() -> None:
    window = Window()
    for at in (0.0, 30.0, 59.0, 61.0):
        window.add(at)
    assert window.highest == 3
    assert window.count(90.1) == 2


async def test_videos_are_counted_apart_from_images() -> None:
    account = Account(TIERS["bronze"])
    for _ in range(5):
        account.admit("video")
    with pytest.raises(Refusal):
        account.admit("video")
    account.admit("image")
