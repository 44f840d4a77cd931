"""Every model page runs to real images of the asked number, size and format."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
from PIL import Image

from orchestrator.catalogue.pages import BUILT_IN
from tests.e2e.stack import Json, Stack, data_of
from tests.e2e.test_protocol import image_bytes

SIZE = (320, 256)
PROMPT, SOURCE = {"prompt": "a lake"}, {"image": "the uploaded image"}
SIZED = {"size": "320*256"}
RUNS = {
    ("v2", "flux-dev"): (
        PROMPT | {"size": "512*640", "num_images": 2, "seed": 5_000_000_000},
        2,
        (512, 640),
        "JPEG",
    ),
    ("v3", "flux-dev"): (PROMPT | SIZED | {"num_images": 2.0, "output_format": "webp"}, 2, SIZE, "WEBP"),
    ("v2", "flux-redux-dev"): (SOURCE | {"size": "512*512", "num_images": 2}, 2, (512, 512), "JPEG"),
    ("v3", "flux-redux-dev"): (SOURCE | SIZED | {"output_format": "png"}, 1, SIZE, "PNG"),
    ("v3", "flux-redux-pro"): (SOURCE | PROMPT | SIZED, 1, SIZE, "JPEG"),
    ("v3", "flux-kontext-pro"): (SOURCE | PROMPT, 1, (64, 48), "JPEG"),
}


def test_the_runs_cover_every_page() -> None:
    assert {(page.version, page.model.partition("/")[2]) for page in BUILT_IN} <= set(RUNS)


@pytest.mark.parametrize(("page", "run"), RUNS.items(), ids=[" ".join(page) for page in RUNS])
async def test_a_page_runs_to_real_images(
    stack: Stack, page: tuple[str, str], run: tuple[Json, int, tuple[int, int], str]
) -> None:
    (version, model), (asked, count, size, kind) = page, run
    inputs = dict(asked)
    if "image" in inputs:
        inputs["image"] = await uploaded(stack)
    answer = await stack.http.post(f"/api/{version}/wavespeed-ai/{model}", json=inputs)
    created = data_of(answer)
    ended = await stack.ended(created["id"])
    assert (ended["phase"], ended["api_version"]) == ("completed", version)
    images = [await opened(url) for url in ended["outputs"]]
    assert [(image.size, image.format) for image in images] == [(size, kind)] * count
    (task,) = await stack.tasks(created["id"])
    assert (task["version"], task["model"]) == (version, f"wavespeed-ai/{model}")


async def uploaded(stack: Stack) -> str:
    files = {"file": ("sea.png", image_bytes(), "image/png")}
    stored: dict[str, Any] = data_of(await stack.http.post("/api/v3/media/upload/binary", files=files))
    return str(stored["download_url"])


async def opened(url: str) -> Image.Image:
    async with httpx.AsyncClient(timeout=20) as http:
        return Image.open(io.BytesIO((await http.get(url)).content))
