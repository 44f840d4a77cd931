"""The control door: scripted faults, and the reset."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import Client


async def statuses(client: Client, count: int) -> list[int]:
    return [(await client.submit(prompt=f"hill {n}")).status_code for n in range(count)]


async def test_a_script_hits_the_next_submits(client: Client) -> None:
    await client.order("faults", fault="busy", count=2)
    assert await statuses(client, 4) == [503, 503, 200, 200]


async def test_a_script_with_a_share_hits_the_same_ones_for_the_same_seed(client: Client) -> None:
    runs = []
    for _ in range(2):
        await client.http.delete("/control/faults")
        await client.order("faults", fault="busy", share=0.4, seed=3)
        runs.append(await statuses(client, 30))
    assert runs[0] == runs[1]
    assert 4 <= runs[0].count(503) <= 20


async def test_scripts_reach_polls_and_history_too(client: Client) -> None:
    task = await client.ended()
    await client.order("faults", fault="refuse=502, html", count=1, on="result")
    await client.order("faults", fault="answer=garbage", count=1, on="history")
    poll = f"/api/v3/predictions/{task['id']}"
    assert [(await client.http.get(poll)).status_code for _ in range(2)] == [502, 200]
    spoilt = (await client.http.post("/api/v3/predictions", json={})).text
    good = await client.http.post("/api/v3/predictions", json={})
    assert not spoilt.endswith("}")
    assert len(good.json()["data"]["items"]) == 1


@pytest.mark.parametrize(("fault", "id_length", "has_inputs"), [("nameless", 0, True), ("bare", 32, False)])
async def test_a_history_may_leave_out_what_matters(
    client: Client, fault: str, id_length: int, has_inputs: bool
) -> None:
    await client.ended()
    await client.order("faults", fault=f"items={fault}", on="history")
    listed = await client.http.post("/api/v3/predictions", json={"include_inputs": True})
    (item,) = listed.json()["data"]["items"]
    assert (len(item["id"]), "inputs" in item) == (id_length, has_inputs)


async def test_without_credit_the_balance_is_empty(client: Client) -> None:
    await client.order("faults", fault="no-credit")
    assert (await client.http.get("/api/v3/balance")).json()["data"]["balance"] == 0
    await client.http.delete("/control/faults")
    assert (await client.http.get("/api/v3/balance")).json()["data"]["balance"] > 0


@pytest.mark.parametrize(
    "body",
    [{"fault": "nonsense"}, {"fault": "busy", "cuont": 1}, {"count": 1}, {"fault": "busy", "count": 0}],
)
async def test_a_wrong_script_is_refused(client: Client, body: dict[str, Any]) -> None:
    assert (await client.http.post("/control/faults", json=body)).status_code == 400


async def test_a_reset_forgets_everything(client: Client) -> None:
    held = await client.created(prompt="[fault: hold]")
    await client.order("faults", fault="busy")
    await client.order("reset")
    assert (await client.control("tasks"))["tasks"] == []
    assert (await client.http.get(f"/api/v3/predictions/{held['id']}")).status_code == 404
    stats = await client.control("stats")
    assert (stats["tasks"], stats["running"], stats["submits"]) == (0, 0, 0)
    assert (await client.created())["status"] == "created"
