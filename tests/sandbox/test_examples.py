"""The example jobs meet in the sandbox exactly what their notes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Client

EXAMPLES = Path(__file__).parents[2] / "examples"
JOBS = [json.loads(line) for line in (EXAMPLES / "jobs.jsonl").read_text().splitlines()]


async def uploaded(client: Client, inputs: dict[str, Any]) -> dict[str, Any]:
    """The input with its `@file` replaced by the URL of the upload."""
    image = inputs.get("image", "")
    if not image.startswith("@"):
        return inputs
    file = EXAMPLES / image[1:]
    answer = await client.http.post(
        "/api/v3/media/upload/binary", files={"file": (file.name, file.read_bytes())}
    )
    return {**inputs, "image": answer.json()["data"]["download_url"]}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["note"])
async def test_every_example_ends_as_it_says(client: Client, job: dict[str, Any]) -> None:
    inputs = {**await uploaded(client, job["input"]), "enable_sync_mode": True}
    answer = await _answer(client, f"/api/{job['api_version']}/{job['model']}", inputs)
    prediction = answer.json()["data"]
    assert prediction["status"] == job["expect"], prediction["error"]
    for url in prediction["outputs"]:
        assert url.startswith("data:image/") or (await client.http.get(url)).status_code == 200


async def _answer(client: Client, path: str, inputs: dict[str, Any]) -> httpx.Response:
    """Submit once more after a refusal; after a lost answer, find the task on the bill."""
    try:
        first = await client.http.post(path, json=inputs)
    except httpx.RemoteProtocolError:
        (task,) = (await client.control("tasks"))["tasks"]
        return await client.http.get(f"/api/v3/predictions/{task['id']}")
    return first if first.status_code == 200 else await client.http.post(path, json=inputs)


def test_the_examples_cover_every_page_and_four_troubles() -> None:
    pages = {(job["api_version"], job["model"].partition("/")[2]) for job in JOBS}
    assert pages == {
        ("v2", "flux-dev"),
        ("v3", "flux-dev"),
        ("v2", "flux-redux-dev"),
        ("v3", "flux-redux-dev"),
        ("v3", "flux-redux-pro"),
        ("v3", "flux-kontext-pro"),
    }
    troubled = [job for job in JOBS if not _is_calm(job) or job["expect"] == "failed"]
    assert len(troubled) == 4
    assert all((EXAMPLES / job["input"]["image"][1:]).exists() for job in JOBS if "image" in job["input"])


def _is_calm(job: dict[str, Any]) -> bool:
    return "[fault:" not in job["input"].get("prompt", "")
