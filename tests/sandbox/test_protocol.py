"""The sandbox answers as WaveSpeed's pages say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from orchestrator.sandbox.options import Options
from orchestrator.sandbox.server import running
from orchestrator.sandbox.signing import secret_of, sign
from tests.sandbox.conftest import FLUX, Client, Receiver
from tests.sandbox.test_files import data_uri


def test_the_signer_agrees_with_the_known_vector() -> None:
    signature = sign(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="45b392b22c3b449fa935bd4dc",
        timestamp=1758798328,
        body=b'{"id":"task_1","status":"completed","outputs":["https://example.com/o.png"]}',
    )
    assert signature == "v3,215d511410c322d76eb32b36b9431a3eee42dd97e95d9cd35587abfddb18288c"


async def test_a_submit_is_answered_created_with_every_field(client: Client) -> None:
    prediction = await client.created()
    assert prediction["status"] == "created"
    assert prediction["outputs"] == []
    assert prediction["urls"]["get"].startswith(str(client.http.base_url))
    assert {"has_nsfw_contents", "created_at", "error", "code", "timings", "executionTime"} <= set(prediction)
    assert None not in prediction.values()


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("tail", ["", "/result"])
async def test_both_result_paths_of_both_versions_know_the_task(
    client: Client, version: str, tail: str
) -> None:
    created = await client.ended()
    response = await client.http.get(f"/api/{version}/predictions/{created['id']}{tail}")
    assert response.json()["data"]["status"] == "completed"


async def test_the_end_is_called_back_bare_and_signed(client: Client, receiver: Receiver) -> None:
    created = await client.created(webhook=receiver.url, prompt="a hill")
    headers, body = await receiver.next()
    prediction = httpx.Response(200, content=body).json()
    assert prediction["id"] == created["id"] == headers["webhook-id"]
    assert prediction["status"] == "completed"
    assert prediction["input"]["prompt"] == "a hill"
    key = client.http.headers["Authorization"].removeprefix("Bearer ")
    told = (await client.http.get("/api/v3/webhook/secret")).json()["data"]["secret"]
    assert told == secret_of(key)
    expected = sign(
        secret=told, message_id=created["id"], timestamp=int(headers["webhook-timestamp"]), body=body
    )
    assert headers["webhook-signature"] == expected


async def test_a_callback_is_repeated_until_it_is_taken(client: Client, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 200]
    await client.created(webhook=receiver.url)
    bodies = {(await receiver.next())[1] for _ in range(3)}
    assert len(bodies) == 1
    assert receiver.arrived.empty()


async def test_a_callback_is_sent_four_times_at_most(client: Client, receiver: Receiver) -> None:
    receiver.answers = [500] * 9
    created = await client.created(webhook=receiver.url)
    for _ in range(4):
        await receiver.next()
    await client.order("callback", id=created["id"], kind="forged")
    headers, _ = await receiver.next()
    assert headers["webhook-signature"] != ""
    assert receiver.arrived.empty()


@pytest.mark.parametrize("key", ["", "Bearer wrong-key", "Basic abc", "Bearer"])
async def test_without_a_good_key_everything_is_401(client: Client, key: str) -> None:
    headers = {"Authorization": key}
    for method, path in [("POST", FLUX), ("GET", "/api/v3/balance"), ("GET", "/api/v2/predictions/x/result")]:
        response = await client.http.request(method, path, headers=headers, json={"prompt": "x"})
        assert response.status_code == response.json()["code"] == 401


async def test_one_demanded_key_shuts_the_others_out() -> None:
    async with running(Options(api_key="only-this")) as url, httpx.AsyncClient(base_url=url) as http:
        answers = [
            (await http.get("/api/v3/balance", headers={"Authorization": f"Bearer {key}"})).status_code
            for key in ("only-this", "another")
        ]
    assert answers == [200, 401]


@pytest.mark.parametrize("public", ["", "http://localhost:8099"])
async def test_outputs_and_uploads_are_named_as_clients_reach_them(public: str) -> None:
    options = Options(duration_s=0.0, public_url=public)
    async with (
        running(options) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer k"}) as http,
    ):
        created = await http.post(FLUX, json={"prompt": "x", "enable_sync_mode": True})
        stored = await http.post("/api/v3/media/upload/binary", files={"file": ("a.png", b"bytes")})
    (output,) = created.json()["data"]["outputs"]
    for named in (output, stored.json()["data"]["download_url"]):
        assert named.startswith((public or url) + "/")


async def test_another_accounts_prediction_is_404(client: Client) -> None:
    created = await client.created()
    response = await client.http.get(
        f"/api/v3/predictions/{created['id']}/result", headers={"Authorization": "Bearer somebody"}
    )
    assert response.status_code == 404
    assert "message" in response.json()


@pytest.mark.parametrize(
    ("path", "inputs", "named"),
    [
        (FLUX, {"prompt": ""}, "prompt"),
        (FLUX, {"prompt": 7}, "prompt"),
        (FLUX, {"size": "200*1024"}, "size"),
        (FLUX, {"size": "big"}, "size"),
        (FLUX, {"seed": 2**31}, "seed"),
        (FLUX, {"num_images": 5}, "num_images"),
        (FLUX, {"num_images": True}, "num_images"),
        (FLUX, {"guidance_scale": 0.5}, "guidance_scale"),
        (FLUX, {"output_format": "gif"}, "output_format"),
        (FLUX, {"enable_base64_output": "yes"}, "enable_base64_output"),
        ("/api/v2/wavespeed-ai/flux-dev", {"size": "256*256"}, "size"),
        ("/api/v2/wavespeed-ai/flux-dev", {"loras": [1, 2, 3, 4, 5, 6]}, "loras"),
        ("/api/v2/wavespeed-ai/flux-redux-dev", {}, "image"),
        ("/api/v3/wavespeed-ai/flux-redux-pro", {"image": "x", "guidance_scale": 6}, "guidance_scale"),
        (
            "/api/v3/wavespeed-ai/flux-kontext-pro",
            {"image": "x", "prompt": "p", "safety_tolerance": "9"},
            "safety_tolerance",
        ),
        ("/api/v3/wavespeed-ai/no-such-model", {}, "no-such-model"),
        ("/api/v2/wavespeed-ai/flux-kontext-pro", {"image": "x", "prompt": "p"}, "flux-kontext-pro"),
    ],
)
async def test_a_wrong_input_is_400_and_costs_nothing(
    client: Client, path: str, inputs: dict[str, Any], named: str
) -> None:
    response = await client.submit(path, **inputs)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert (await client.control("tasks"))["tasks"] == []


async def test_unknown_fields_pass(client: Client) -> None:
    assert (await client.ended(max_images=3, enable_safety_checker=False))["status"] == "completed"


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": []},
        {"num_images": 500_000},
        {"num_images": -1},
        {"output_format": ["png"]},
        {"enable_base64_output": True, "size": "9*9"},
    ],
)
async def test_what_a_page_does_not_list_changes_nothing(client: Client, fields: dict[str, Any]) -> None:
    path = "/api/v3/wavespeed-ai/flux-kontext-pro"
    task = await client.ended(path, prompt="a quiet sea", image=data_uri(), **fields)
    (output,) = task["outputs"]
    assert output.endswith(f"/outputs/{task['id']}/1.jpeg")
    assert (await client.http.get(output)).is_success
    (billed,) = (await client.control("tasks"))["tasks"]
    assert billed["price"] == 0.04


async def test_a_seed_may_be_any_where_the_page_prints_no_range(client: Client) -> None:
    path = "/api/v2/wavespeed-ai/flux-dev"
    task = await client.ended(path, seed=5_000_000_000, size="512*512")
    assert (await client.http.get(task["outputs"][0])).is_success
    assert (await client.submit(seed=5_000_000_000)).status_code == 400


@pytest.mark.parametrize("name", ["²", "0", "2", "01", "1" * 5_000])
async def test_an_output_that_there_is_not_is_404(client: Client, name: str) -> None:
    task = await client.ended()
    response = await client.http.get(f"/outputs/{task['id']}/{name}.jpeg")
    assert response.status_code == 404


async def test_a_null_counts_as_absent(client: Client) -> None:
    nulls: dict[str, Any] = dict.fromkeys(
        ["image", "seed", "size", "strength", "num_images", "output_format"]
    )
    task = await client.ended(**nulls)
    assert (await client.http.get(task["outputs"][0])).status_code == 200


async def test_a_body_that_is_no_object_is_400(client: Client) -> None:
    for body in (b"", b"[]", b"{", b'{"prompt": NaN}'):
        assert (await client.http.post(FLUX, content=body)).status_code == 400


async def test_history_is_newest_first_paged_and_filtered(client: Client) -> None:
    ids = [(await client.ended(prompt=f"hill {n}"))["id"] for n in range(5)]
    await client.ended("/api/v3/wavespeed-ai/flux-redux-dev", image=data_uri())

    async def look(**query: Any) -> list[dict[str, Any]]:
        response = await client.http.post("/api/v3/predictions", json=query)
        items: list[dict[str, Any]] = response.json()["data"]["items"]
        return items

    flux = "wavespeed-ai/flux-dev"
    assert [item["id"] for item in await look(page=1, page_size=2, model=flux)] == ids[:2:-1]
    assert [item["id"] for item in await look(page=3, page_size=2, model=flux)] == ids[:1]
    assert len(await look(status="completed")) == 6
    assert await look(status="failed") == []
    later = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    assert await look(created_after=later) == []
    assert len(await look(created_before=later)) == 6
    assert (await look(model=flux, include_inputs=True))[0]["inputs"]["prompt"] == "hill 4"


async def test_a_deleted_prediction_is_gone_but_stays_on_the_bill(client: Client) -> None:
    task = await client.ended()
    ids = [task["id"], "0" * 32]
    response = await client.http.post("/api/v3/predictions/delete", json={"ids": ids})
    assert response.json()["data"] == {"deleted_count": 1}
    assert (await client.http.get(f"/api/v3/predictions/{task['id']}")).status_code == 404
    assert len((await client.control("tasks"))["tasks"]) == 1


async def test_the_catalogue_has_every_page_with_its_schema(client: Client) -> None:
    listed = {}
    for version in ("v2", "v3"):
        for model in (await client.http.get(f"/api/{version}/models")).json()["data"]:
            listed[version, model["model_id"]] = model["api_schema"]["api_schemas"][0]["request_schema"]
    assert {(version, model.partition("/")[2]) for version, model in listed} == {
        ("v2", "flux-dev"),
        ("v3", "flux-dev"),
        ("v2", "flux-redux-dev"),
        ("v3", "flux-redux-dev"),
        ("v3", "flux-redux-pro"),
        ("v3", "flux-kontext-pro"),
    }
    schema = listed["v3", "wavespeed-ai/flux-kontext-pro"]
    assert schema["required"] == ["prompt", "image"]
    assert schema["x-order-properties"] == list(schema["properties"])
    assert listed["v2", "wavespeed-ai/flux-dev"]["required"] == []


async def test_a_task_is_paid_from_the_balance_at_the_quoted_price(client: Client) -> None:
    async def balance() -> float:
        return float((await client.http.get("/api/v3/balance")).json()["data"]["balance"])

    quote = {"model_id": "wavespeed-ai/flux-dev", "inputs": {"prompt": "x", "num_images": 3}}
    price = (await client.http.post("/api/v3/model/price", json=quote)).json()["data"]["price"]
    unit = (await client.http.post("/api/v3/model/pricing", json=quote)).json()["data"]["unit_price"]
    before = await balance()
    await client.created(num_images=3)
    assert price == unit == pytest.approx(before - await balance())


async def test_sync_mode_answers_the_end(client: Client) -> None:
    assert (await client.ended())["status"] == "completed"


async def test_sync_mode_gives_up_with_code_5004() -> None:
    async with running(Options(sync_timeout_s=0.05)) as url, httpx.AsyncClient(base_url=url) as http:
        response = await http.post(
            FLUX,
            json={"prompt": "x [fault: hold]", "enable_sync_mode": True},
            headers={"Authorization": "Bearer k"},
        )
    data = response.json()["data"]
    assert (response.status_code, data["status"], data["code"]) == (200, "processing", 5004)
    assert "Sync mode timed out" in data["error"]


@pytest.mark.parametrize(
    ("switch", "status"), [({}, "failed"), ({"enable_safety_checker": False}, "completed")]
)
async def test_a_moderated_prompt_fails_unless_the_checker_is_off(
    client: Client, switch: dict[str, bool], status: str
) -> None:
    task = await client.ended("/api/v2/wavespeed-ai/flux-dev", prompt="a forbidden city", **switch)
    assert task["status"] == status
    assert task["code"] == (1200 if status == "failed" else 0)


async def test_an_unknown_path_is_answered_in_the_envelope(client: Client) -> None:
    response = await client.http.get("/api/v3/nothing/here")
    assert response.status_code in {404, 405}
    assert response.json()["code"] == response.status_code
