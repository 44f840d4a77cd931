"""What the API description says is so: a fuzzer asks a running server for it, and for what it forbids."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.e2e.described import strict
from tests.e2e.hooked import Hooked, path_of

FUZZER = Path(sys.executable).parent / "schemathesis"
CONFIG = Path(__file__).parent / "schemathesis.toml"
# The same cases each time; the long pass looks for others.
SHORTLY = ("--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1")
AT_LENGTH = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "100")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(SHORTLY, id="shortly"),
        pytest.param(AT_LENGTH, id="at length", marks=[pytest.mark.slow, pytest.mark.timeout(1_800)]),
    ],
)
async def test_every_answer_is_described(hooked: Hooked, tmp_path: Path, options: tuple[str, ...]) -> None:
    stack, receiver = hooked
    served = (await stack.http.get("/openapi.json")).json()
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(strict(served, webhook=receiver.url + path_of("200"))))
    status, said = await fuzz(document, url=stack.url, key=stack.key, options=options)
    assert status == 0, said


async def fuzz(document: Path, *, url: str, key: str, options: tuple[str, ...]) -> tuple[int, str]:
    """The fuzzer's verdict, 0 for none, and its words."""
    running = await asyncio.create_subprocess_exec(
        *(FUZZER, "--config-file", CONFIG, "run", document, "--url", url),
        *("--header", f"Authorization: Bearer {key}", "--no-color", "--continue-on-failure", *options),
        cwd=document.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, said.decode()
