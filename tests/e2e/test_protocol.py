"""WaveSpeed's protocol as its old and new clients read it, on raw answers."""

from __future__ import annotations

import base64
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.stack import FLUX, Json, Stack, data_of, marked

# What some client or other reads without asking whether it is there.
ALWAYS = {
    "id": str,
    "model": str,
    "status": str,
    "outputs": list,
    "urls": dict,
    "has_nsfw_contents": list,
    "created_at": str,
    "error": str,
    "executionTime": int,
    "timings": dict,
}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def assert_prediction(stack: Stack, shown: Json) -> None:
    assert {name: type(shown[name]) for name in ALWAYS} == ALWAYS
    assert re.fullmatch(r"[0-9a-f]{32}", shown["id"])
    assert RFC3339.fullmatch(shown["created_at"])
    assert shown["urls"]["get"].startswith(f"{stack.url}/api/")
    assert shown["urls"]["get"].endswith(f"/predictions/{shown['id']}/result")
    assert_no_null(shown)


def assert_no_null(value: Any) -> None:
    assert value is not None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        assert_no_null(one)


async def shown_at(stack: Stack, path: str) -> Json:
    shown: Json = data_of(await stack.http.get(path))
    return shown


async def history(stack: Stack, *, version: str = "v3", **asked: Any) -> list[Json]:
    """Of the newest predictions, as many as one page can hold."""
    body = {"page": 1, "page_size": 100, **asked}
    answer = data_of(await stack.http.post(f"/api/{version}/predictions", json=body))
    assert answer["page"] == 1
    items: list[Json] = answer["items"]
    return items


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_a_prediction_has_all_its_fields_in_every_state(stack: Stack, version: str) -> None:
    created = data_of(await stack.submit(marked("hold"), path=f"/api/{version}/{FLUX}"))
    assert_prediction(stack, created)
    assert (created["status"], created["outputs"], created["error"]) == ("created", [], "")
    await stack.in_phase(created["id"], "accepted")
    processing = await shown_at(stack, f"/api/{version}/predictions/{created['id']}")
    assert_prediction(stack, processing)
    assert processing["status"] == "processing"
    (task,) = await stack.tasks(created["id"])
    assert task["version"] == version
    await stack.control("finish", id=task["id"], fail=1403)
    await stack.ended(created["id"])
    failed = await shown_at(stack, f"/api/{version}/predictions/{created['id']}")
    assert_prediction(stack, failed)
    assert (failed["status"], failed["code"]) == ("failed", 1403)
    assert failed["error"]


async def test_urls_get_works_as_it_stands_and_both_paths_and_versions_show_the_same(stack: Stack) -> None:
    created = data_of(await stack.submit())
    await stack.ended(created["id"])
    answer = await stack.http.get(created["urls"]["get"])
    completed = data_of(answer)
    assert_prediction(stack, completed)
    assert completed["status"] == "completed"
    assert completed["has_nsfw_contents"] == [False]
    assert completed["executionTime"] == completed["timings"]["inference"]
    for version in ("v2", "v3"):
        for ending in ("", "/result"):
            path = f"/api/{version}/predictions/{created['id']}{ending}"
            assert await shown_at(stack, path) == completed


async def test_no_answer_has_an_error_key_beside_its_envelope(stack: Stack) -> None:
    job_id = await stack.created(marked("fail=1200"))
    await stack.ended(job_id)
    for method, path, body in (
        ("GET", f"/api/v3/predictions/{job_id}/result", None),
        ("GET", f"/api/v3/predictions/{'0' * 32}/result", None),
        ("POST", f"/api/v3/{FLUX}", {"prompt": 1}),
        ("POST", "/api/v3/nonsense", {}),
        ("PUT", "/api/v3/predictions", {}),
    ):
        answer = (await stack.http.request(method, path, json=body)).json()
        assert "error" not in answer
        assert {"code", "message"} <= set(answer)


async def test_sync_mode_answers_with_the_final_prediction(stack: Stack) -> None:
    completed = data_of(await stack.submit(enable_sync_mode=True))
    assert_prediction(stack, completed)
    assert completed["status"] == "completed"
    failed = data_of(await stack.submit(marked("fail=1200"), enable_sync_mode=True))
    assert (failed["status"], failed["code"]) == ("failed", 1200)
    for task in [*await stack.tasks(completed["id"]), *await stack.tasks(failed["id"])]:
        assert task["ended_ms"] is not None


async def test_base64_outputs_arrive_whole(stack: Stack) -> None:
    asked: Json = {"size": "256*256", "enable_base64_output": True, "output_format": "png"}
    (output,) = data_of(await stack.submit(enable_sync_mode=True, **asked))["outputs"]
    kind, _, content = output.partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (256, 256)


async def test_the_history_filters_by_model_status_and_time(stack: Stack) -> None:
    began = datetime.now(UTC) - timedelta(milliseconds=2)
    done = await stack.created()
    failed = await stack.created(marked("fail=1200"))
    await stack.ended(done)
    await stack.ended(failed)
    open_id = await stack.created(marked("hold"))
    await stack.in_phase(open_id, "accepted")
    since = {"created_after": began.isoformat()}

    async def ids(**asked: Any) -> set[str]:
        return {item["id"] for item in await history(stack, **asked)} & {done, failed, open_id}

    assert await ids(**since) == {done, failed, open_id}
    assert await ids(created_before=began.isoformat()) == set()
    assert await ids(**since, status="completed") == {done}
    assert await ids(**since, status="failed") == {failed}
    assert await ids(**since, status="processing") == {open_id}
    assert await ids(**since, model=FLUX) == {done, failed, open_id}
    assert await ids(**since, model="wavespeed-ai/flux-redux-dev") == set()
    for item in await history(stack, **since):
        assert_prediction(stack, item)
        assert "inputs" not in item
    await finish(stack, open_id)


async def finish(stack: Stack, job_id: str) -> None:
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    await stack.ended(job_id)


async def test_the_history_gives_the_inputs_as_they_came_when_it_is_asked_to(stack: Stack) -> None:
    asked = {"size": "256*256", "loras": [{"path": "x", "scale": 0.5}]}
    job_id = await stack.created("a lake, 湖 🌊", **asked)
    (item,) = [one for one in await history(stack, include_inputs=True) if one["id"] == job_id]
    assert item["inputs"] == {"prompt": "a lake, 湖 🌊", **asked}
    await stack.ended(job_id)


async def test_the_history_has_pages_and_both_versions_show_all(stack: Stack) -> None:
    ids = [await stack.created(path=f"/api/{version}/{FLUX}") for version in ("v2", "v3", "v2")]
    pages = [
        data_of(await stack.http.post("/api/v2/predictions", json={"page": page, "page_size": 2}))
        for page in (1, 2)
    ]
    assert [page["page"] for page in pages] == [1, 2]
    shown = [item["id"] for page in pages for item in page["items"]]
    assert shown[:3] == ids[::-1]
    for job_id in ids:
        await stack.ended(job_id)


async def test_a_deleted_prediction_is_gone_and_one_under_way_stays(stack: Stack) -> None:
    done, running = await stack.created(), await stack.created(marked("hold"))
    await stack.ended(done)
    await stack.in_phase(running, "accepted")
    body = {"ids": [done, running, "0" * 32]}
    assert data_of(await stack.http.post("/api/v3/predictions/delete", json=body)) == {"deleted_count": 1}
    assert (await stack.http.get(f"/api/v3/predictions/{done}")).status_code == 404
    assert (await shown_at(stack, f"/api/v3/predictions/{running}"))["status"] == "processing"
    for table in ("documents", "attempts", "events", "callbacks"):
        assert not await stack.ledger.rows(f"SELECT * FROM {table} WHERE job_id = :id", id=done)
    await finish(stack, running)


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_models_balance_and_prices_are_the_providers(stack: Stack, version: str) -> None:
    key = {"authorization": "Bearer provider-key-of-the-tests"}
    asked = {"model_id": FLUX, "inputs": {"prompt": "x", "num_images": 3}}
    for method, path, body in (
        ("GET", "models", None),
        ("POST", "model/price", asked),
        ("POST", "model/pricing", asked),
    ):
        ours = await stack.http.request(method, f"/api/{version}/{path}", json=body)
        theirs = await stack.provider.request(method, f"/api/{version}/{path}", json=body, headers=key)
        # A client that follows a model's server stays with us.
        there, here = (f'"server":"{url}"' for url in (stack.sandbox_url, stack.url))
        assert ours.text == theirs.text.replace(there, here)
        assert (here in ours.text) is (path == "models")
    assert set(data_of(await stack.http.get(f"/api/{version}/balance"))) == {"balance"}
    models = data_of(await stack.http.get(f"/api/{version}/models"))
    assert {FLUX, "wavespeed-ai/flux-redux-dev"} <= {model["model_id"] for model in models}


async def test_the_webhook_secret_is_ours_and_not_the_providers(stack: Stack) -> None:
    key = {"authorization": "Bearer provider-key-of-the-tests"}
    ours = data_of(await stack.http.get("/api/v3/webhook/secret"))["secret"]
    theirs = data_of(await stack.provider.get("/api/v3/webhook/secret", headers=key))["secret"]
    assert ours.startswith("whsec_")
    assert ours != theirs
    assert data_of(await stack.http.get("/api/v3/webhook/secret"))["secret"] == ours


async def test_an_upload_by_ticket_goes_to_the_providers_storage(stack: Stack) -> None:
    content = image_bytes()
    asked = {"filename": "sea.png", "size": len(content), "content_type": "image/png"}
    ticket = data_of(await stack.http.post("/api/v3/media/uploads", json=asked))
    assert (ticket["type"], ticket["filename"], ticket["size"]) == ("image", "sea.png", len(content))
    async with httpx.AsyncClient() as bare:
        put = await bare.put(ticket["upload"]["url"], content=content, headers=ticket["upload"]["headers"])
        assert put.status_code == 200
        assert (await bare.get(ticket["download_url"])).content == content


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_a_multipart_upload_is_passed_through(stack: Stack, version: str) -> None:
    content = image_bytes()
    path = f"/api/{version}/media/upload/binary"
    stored = data_of(await stack.http.post(path, files={"file": ("sea.png", content, "image/png")}))
    assert (stored["type"], stored["size"]) == ("image", len(content))
    async with httpx.AsyncClient() as bare:
        assert (await bare.get(stored["download_url"])).content == content


def image_bytes() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("place", ["query", "webhook_url", "webhook"])
async def test_a_webhook_may_stand_in_three_places_and_is_no_input(stack: Stack, place: str) -> None:
    hook = "https://example.com/hook?token=1"
    where: dict[str, Any] = {"params": {"webhook": hook}} if place == "query" else {place: hook}
    job_id = await stack.created(marked("hold"), **where)
    await stack.in_phase(job_id, "accepted")
    assert await stack.ledger.one("SELECT webhook FROM jobs WHERE id = :id", id=job_id) == hook
    assert set((await stack.job(job_id))["inputs"]) == {"prompt"}
    (task,) = await stack.tasks(job_id)
    assert task["webhook"].startswith(f"{stack.url}/callbacks/wavespeed/{job_id}/1/")
    await stack.act(job_id, "cancel")
