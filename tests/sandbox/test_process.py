"""The sandbox as a process of its own: its one line, its end, the official SDK, and its independence."""

from __future__ import annotations

import ast
import contextlib
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from wavespeed import Client

import orchestrator.sandbox

SDK_INPUT = {"prompt": "a lighthouse", "size": "256*256"}


@contextlib.contextmanager
def sandbox_process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A started sandbox and its URL."""
    command = [sys.executable, "-m", "orchestrator.sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("sandbox ready at http://127.0.0.1:")
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_also_with_a_request_open(sent: signal.Signals) -> None:
    with sandbox_process() as (process, url):
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        body = json.dumps({"prompt": "x [fault: hold]", "enable_sync_mode": True})
        connection.request("POST", "/api/v3/wavespeed-ai/flux-dev", body, {"Authorization": "Bearer k"})
        _wait_until_running(url)
        began = time.monotonic()
        process.send_signal(sent)
        process.wait(5)
        assert time.monotonic() - began < 1
        assert process.stdout is not None
        assert process.stdout.read() == ""
        connection.close()


def _wait_until_running(url: str) -> None:
    deadline = time.monotonic() + 5
    running = 0
    while not running and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        connection.request("GET", "/control/stats")
        running = json.loads(connection.getresponse().read())["running"]
        connection.close()
    assert running == 1


def test_the_official_sdk_runs_against_it() -> None:
    with sandbox_process("--duration", "0") as (_, url):
        client = Client(api_key="k", base_url=url)
        polled = client.run("wavespeed-ai/flux-dev", SDK_INPUT, poll_interval=0.05)
        synced = client.run("wavespeed-ai/flux-dev", SDK_INPUT, enable_sync_mode=True)
        assert len(polled["outputs"]) == len(synced["outputs"]) == 1
        failed = client.run_no_throw(
            "wavespeed-ai/flux-dev", {"prompt": "[fault: fail=5000]"}, poll_interval=0.05
        )
        assert (failed["status"], failed["outputs"]) == ("failed", None)


def test_the_official_sdk_uploads_to_it(tmp_path: Path) -> None:
    file = tmp_path / "sea.png"
    Image.new("RGB", (32, 32), "teal").save(file)
    with sandbox_process("--duration", "0") as (_, url):
        client = Client(api_key="k", base_url=url)
        link = client.upload(str(file))
        answer = client.run("wavespeed-ai/flux-redux-dev", {"image": link}, poll_interval=0.05)
    assert link.startswith(url)
    assert len(answer["outputs"]) == 1


def test_it_shares_no_code_with_the_rest_of_the_package() -> None:
    root = Path(orchestrator.sandbox.__file__).parent
    foreign = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            foreign |= {n for n in names if n.startswith("orchestrator") and ".sandbox" not in n}
    assert foreign == set()
