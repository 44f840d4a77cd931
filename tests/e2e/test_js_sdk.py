"""The official JavaScript SDK, unchanged, in node, with nothing but its base URL pointed at us."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.stack import FLUX, Stack, marked
from tests.e2e.test_python_sdk import image_at

SCRIPT = Path(__file__).with_name("sdk.cjs")
MODULES = Path(__file__).parents[1] / "js" / "node_modules"
pytestmark = pytest.mark.skipif(
    not (MODULES / "wavespeed").exists() or shutil.which("node") is None,
    reason="the JavaScript SDK is not installed: run `make test`",
)


async def call(stack: Stack, method: str, *arguments: Any, key: str | None = None) -> dict[str, Any]:
    asked = {"key": key or stack.key, "baseUrl": stack.url, "method": method, "arguments": arguments}
    node = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        json.dumps(asked),
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(MODULES)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(node.communicate(), 30)
    assert node.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


async def run(stack: Stack, prompt: str, *, key: str | None = None, **options: Any) -> dict[str, Any]:
    inputs = {"prompt": prompt, "size": "320*256"}
    answer = await call(stack, "runNoThrow", FLUX, inputs, {"pollInterval": 0.05, **options}, key=key)
    value: dict[str, Any] = answer["value"]
    return value


@pytest.mark.parametrize("is_sync", [False, True])
async def test_a_run_gives_a_real_image_of_the_asked_size(stack: Stack, is_sync: bool) -> None:
    told = await run(stack, "a lake", enableSyncMode=is_sync)
    (url,) = told["outputs"]
    assert (await image_at(url)).size == (320, 256)


async def test_a_task_that_fails_is_told_with_the_providers_words(stack: Stack) -> None:
    told = await run(stack, marked("fail=1200"))
    assert (told["outputs"], told["detail"]["status"]) == (None, "failed")
    assert "safety checker" in told["detail"]["error"]["message"]
    assert (await stack.job(told["detail"]["taskId"]))["reason"] == "rejected"


async def test_a_local_time_out_names_the_task_which_ends_all_the_same(stack: Stack) -> None:
    told = await run(stack, marked("hold"), timeout=1)
    assert "timed out" in told["detail"]["error"]["message"]
    job_id = told["detail"]["taskId"]
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    assert (await stack.ended(job_id))["phase"] == "completed"


async def test_a_wrong_key_is_refused(stack: Stack) -> None:
    told = await run(stack, "a lake", key="wrong")
    assert "HTTP 401" in told["detail"]["error"]["message"]


async def test_an_uploaded_file_becomes_the_input_of_a_run(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "boat.png"
    Image.new("RGB", (320, 240), "teal").save(file)
    link = (await call(stack, "upload", str(file)))["value"]
    inputs = {"prompt": "at night", "image": link}
    told = await call(stack, "run", "wavespeed-ai/flux-kontext-pro", inputs, {"pollInterval": 0.05})
    assert (await image_at(told["value"]["outputs"][0])).size == (320, 240)
