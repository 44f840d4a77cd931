"""The official Python SDK, unchanged, with nothing but its base URL pointed at us."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from wavespeed import Client

from tests.e2e.program import until
from tests.e2e.stack import FLUX, Stack, marked


def client_of(stack: Stack, *, key: str | None = None) -> Any:
    return Client(api_key=key or stack.key, base_url=stack.url)


async def run(client: Any, prompt: str, **options: Any) -> dict[str, Any]:
    inputs = {"prompt": prompt, "size": "256*256"}
    ended: dict[str, Any] = await asyncio.to_thread(
        client.run_no_throw, FLUX, inputs, poll_interval=0.05, **options
    )
    return ended


async def image_at(url: str) -> Image.Image:
    async with httpx.AsyncClient() as http:
        answer = await http.get(url)
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize("is_sync", [False, True])
async def test_a_run_gives_a_real_image_of_the_asked_size(stack: Stack, is_sync: bool) -> None:
    outputs = await asyncio.to_thread(
        client_of(stack).run,
        FLUX,
        {"prompt": "a lake", "size": "320*256"},
        poll_interval=0.05,
        enable_sync_mode=is_sync,
    )
    (url,) = outputs["outputs"]
    assert (await image_at(url)).size == (320, 256)


async def test_a_task_that_fails_is_told_with_the_providers_words(stack: Stack) -> None:
    polled = await run(client_of(stack), marked("fail=1200"))
    held = await run(client_of(stack), marked("fail=1200"), enable_sync_mode=True)
    for told in (polled, held):
        assert told["status"] == "failed"
        assert told["outputs"] is None
        assert "safety checker" in told["error"]
        assert (await stack.job(told["task_id"]))["reason"] == "rejected"


async def test_a_local_time_out_names_the_task_which_can_be_fetched_later(stack: Stack) -> None:
    client = client_of(stack)
    told = await run(client, marked("hold"), timeout=0.3)
    assert told["status"] == "failed"
    assert "timed out" in told["error"]
    job_id = told["task_id"]
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    await stack.ended(job_id)
    fetched = await asyncio.to_thread(client.get_result, job_id)
    assert fetched["data"]["status"] == "completed"
    assert len(await stack.tasks(job_id)) == 1


async def test_a_sync_run_that_its_client_gives_up_goes_on_and_is_paid_once(stack: Stack) -> None:
    prompt = marked("hold")
    told = await run(client_of(stack), prompt, enable_sync_mode=True, timeout=0.3)
    assert "submission did not return" in told["error"]

    async def tasks() -> list[dict[str, Any]]:
        return [task for task in await stack.tasks() if task["prompt"] == prompt]

    (task,) = await until(tasks)
    await stack.control("finish", id=task["id"])
    job_id = task["webhook"].split("/")[-3]
    assert (await stack.ended(job_id))["phase"] == "completed"


async def test_a_wrong_key_is_refused(stack: Stack) -> None:
    told = await run(client_of(stack, key="wrong"), "a lake")
    assert "HTTP 401" in told["error"]


async def test_an_uploaded_file_becomes_the_input_of_a_run(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "boat.png"
    Image.new("RGB", (320, 240), "teal").save(file)
    client = client_of(stack)
    link = await asyncio.to_thread(client.upload, str(file))
    inputs = {"prompt": "at night", "image": link}
    outputs = await asyncio.to_thread(client.run, "wavespeed-ai/flux-kontext-pro", inputs, poll_interval=0.05)
    assert (await image_at(outputs["outputs"][0])).size == (320, 240)
