"""Callbacks that are lost, early, late, doubled, forged, stale or contradictory, by marker and by hand."""

from __future__ import annotations

import json
import time

import pytest

from tests.sandbox.conftest import Client, Receiver, is_signed


async def test_a_lost_callback_never_comes(client: Client, receiver: Receiver) -> None:
    lost = await client.created(prompt="[fault: lost-callback]", webhook=receiver.url)
    kept = await client.created(webhook=receiver.url)
    headers, _ = await receiver.next()
    assert headers["webhook-id"] == kept["id"]
    assert (await client.result(lost["id"]))["status"] == "completed"
    assert receiver.arrived.empty()


async def test_an_early_callback_is_there_before_the_answer(client: Client, receiver: Receiver) -> None:
    created = await client.created(prompt="[fault: callback=early]", webhook=receiver.url)
    assert receiver.arrived.qsize() == 1
    headers, body = await receiver.next()
    assert headers["webhook-id"] == created["id"]
    assert created["status"] == "created"
    assert json.loads(body)["status"] == "completed"


async def test_copies_are_alike(client: Client, receiver: Receiver) -> None:
    await client.created(prompt="[fault: copies=5]", webhook=receiver.url)
    assert len({(await receiver.next())[1] for _ in range(5)}) == 1


async def test_a_late_callback_comes_after_the_end(client: Client, receiver: Receiver) -> None:
    created = await client.ended(prompt="[fault: late=0.3]", webhook=receiver.url)
    assert created["status"] == "completed"
    assert receiver.arrived.empty()
    assert (await receiver.next())[0]["webhook-id"] == created["id"]


async def test_forged_unsigned_and_stale_callbacks_look_it(client: Client, receiver: Receiver) -> None:
    seen: dict[str, tuple[bool, bool, int]] = {}
    for kind in ("forged", "unsigned", "stale"):
        await client.created(prompt=f"[fault: callback={kind}]", webhook=receiver.url)
        headers, body = await receiver.next()
        age = round(time.time()) - int(headers["webhook-timestamp"])
        seen[kind] = ("webhook-signature" in headers, is_signed(client, headers, body), age // 300)
    assert seen == {"forged": (True, False, 0), "unsigned": (False, False, 0), "stale": (True, True, 12)}


@pytest.mark.parametrize(("kind", "second"), [("reordered", "processing"), ("contradictory", "failed")])
async def test_the_second_callback_contradicts_the_first(
    client: Client, receiver: Receiver, kind: str, second: str
) -> None:
    await client.created(prompt=f"[fault: callback={kind}]", webhook=receiver.url)
    letters = [await receiver.next() for _ in range(2)]
    assert [json.loads(body)["status"] for _, body in letters] == ["completed", second]
    assert all(is_signed(client, headers, body) for headers, body in letters)


async def test_any_callback_can_be_sent_by_hand(client: Client, receiver: Receiver) -> None:
    task = await client.ended()
    sent = await client.order("callback", id=task["id"], url=receiver.url, count=20)
    assert sent == {"answers": [200] * 20}
    bodies = {(await receiver.next())[1] for _ in range(20)}
    assert len(bodies) == 1
    await client.order(
        "callback", id=task["id"], url=receiver.url, kind="stale", body={"id": "other"}, age=900
    )
    headers, body = await receiver.next()
    assert json.loads(body) == {"id": "other"}
    assert time.time() - int(headers["webhook-timestamp"]) >= 900
    assert is_signed(client, headers, body)
