"""Receivers that are not ours believe what we send: the samples of the documents, and npm's own library."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hooked import Hooked, path_of
from tests.e2e.receiver import Received
from tests.e2e.stack import Json
from tests.e2e.subscribing import ENDPOINTS, new_subscriber

PAGE = Path(__file__).parents[2] / "docs/webhooks.md"
SCRIPT = Path(__file__).with_name("verify.cjs")
MODULES = Path(__file__).parents[1] / "js" / "node_modules"
needs_node = pytest.mark.skipif(
    not (MODULES / "standardwebhooks").exists() or shutil.which("node") is None,
    reason="the JavaScript packages are not installed: run `make test`",
)


def sample(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


async def told(hooked: Hooked, scheme: str) -> tuple[Received, list[str]]:
    """A message after a rotation, and the secrets: the new one, the old one, and a stranger's."""
    tenant = await new_subscriber(hooked)
    path = path_of("200")
    made, other = await tenant.subscribe(path, scheme=scheme), await tenant.subscribe(path_of("200"))
    again: Json = await tenant.data("POST", f"{ENDPOINTS}/{made['id']}/rotate-secret")
    await tenant.run("a café 😀")
    (received,) = await tenant.receiver.wait_for(path)
    return received, [again["secret"], made["secret"], other["secret"]]


@pytest.mark.parametrize(("scheme", "verdicts"), [("v1", [True, True, False]), ("v3", [True, False, False])])
async def test_the_python_sample_believes_what_is_signed_for_it(
    hooked: Hooked, scheme: str, verdicts: list[bool]
) -> None:
    received, secrets = await told(hooked, scheme)
    names: dict[str, Any] = {}
    exec(sample("python"), names)
    is_from_us: Callable[..., bool] = names["is_from_orchestrator"]
    assert [is_from_us(received.headers, received.body, secret, scheme) for secret in secrets] == verdicts
    assert not is_from_us(received.headers, received.body + b" ", secrets[0], scheme)
    stale = received.headers | {"webhook-timestamp": "1600000000"}
    assert not is_from_us(stale, received.body, secrets[0], scheme)


@needs_node
async def test_node_believes_what_is_signed_for_it(hooked: Hooked) -> None:
    messages: list[Json] = []
    for scheme in ("v1", "v3"):
        received, secrets = await told(hooked, scheme)
        message = {"headers": received.headers, "body": received.body.decode(), "scheme": scheme}
        messages += [message | {"secret": secret} for secret in secrets]
        messages.append(message | {"secret": secrets[0], "body": received.body.decode() + " "})
    verdicts = await judged(messages)
    assert [one["sample"] for one in verdicts] == [True, True, False, False, True, False, False, False]
    assert [one["library"] for one in verdicts[:4]] == [True, True, False, False]


async def judged(messages: list[Json]) -> list[dict[str, bool]]:
    node = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        json.dumps({"sample": sample("js"), "messages": messages}),
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(MODULES)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(node.communicate(), 30)
    assert node.returncode == 0, err.decode()
    verdicts: list[dict[str, bool]] = json.loads(out)
    return verdicts
