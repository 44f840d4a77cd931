"""The demo: real processes from start to end, and none of them left."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from orchestrator.cli import demo
from tests.cli.conftest import PROJECT, Command, format_of

EXAMPLES = PROJECT / "examples"
pytestmark = pytest.mark.xdist_group("cli")


def write_jobs(folder: Path, *lines: dict[str, object]) -> str:
    """Jobs of one model that run for a moment."""
    model = {"model": "wavespeed-ai/flux-dev", "api_version": "v3"}
    path = folder / "jobs.jsonl"
    path.write_text("\n".join(json.dumps(model | line) for line in lines))
    return str(path)


def test_every_job_ends_as_expected_and_is_saved(orchestrator: Command, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "teal.png")
    jobs = write_jobs(
        tmp_path,
        {"input": {"prompt": "a sea [fault: duration=0.05]", "num_images": 2}, "expect": "completed"},
        {"input": {"prompt": "a teal [fault: busy=1, duration=0.05]", "image": "@teal.png"}},
        {"input": {"prompt": "a neon city [fault: lost-answer, duration=0.05]"}},
        {"input": {"prompt": "a forbidden bay", "size": "no size"}, "expect": "refused"},
    )

    told = orchestrator("demo", "--exit", "--jobs", jobs)

    assert told.returncode == 0, told.stdout + told.stderr
    saved = sorted(path.name for path in (tmp_path / "demo-output").iterdir())
    assert saved == ["01-1.jpeg", "01-2.jpeg", "02-1.jpeg", "03-1.jpeg", "sandbox.log", "up.log"]
    assert {format_of(path) for path in (tmp_path / "demo-output").glob("*.jpeg")} == {"JPEG"}
    assert "2 of 4 met trouble" in told.stdout


def test_an_unexpected_end_makes_it_fail(orchestrator: Command, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path, {"input": {"prompt": "a sea [fault: duration=0.05]"}, "expect": "failed"})

    told = orchestrator("demo", "--exit", "--jobs", jobs)

    assert told.returncode == 1
    assert "#1 is completed, not failed" in told.stdout


def test_it_spends_no_key_of_the_person(orchestrator: Command, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path, {"input": {"prompt": "a sea [fault: duration=0.05]"}})
    (tmp_path / ".env").write_text("WAVESPEED_BASE_URL=http://127.0.0.1:1\n")

    told = orchestrator("demo", "--exit", "--jobs", jobs, WAVESPEED_BASE_URL="http://127.0.0.1:1")

    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "line 1"), ('{"model":"m","input":{}}\n{"input":{}}', "line 2"), (None, "cannot be read")],
)
def test_a_wrong_list_of_jobs_is_told_before_anything_starts(
    orchestrator: Command, tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "jobs.jsonl"
    if content is not None:
        path.write_text(content)

    told = orchestrator("demo", "--exit", "--jobs", str(path))

    assert told.returncode == 1
    assert complaint in told.stderr
    assert not (tmp_path / "demo-output").exists()


def test_the_examples_can_be_read_and_have_their_files() -> None:
    lines = [json.loads(line) for line in (EXAMPLES / "jobs.jsonl").read_text().splitlines()]
    values = [value for line in lines for value in line["input"].values() if isinstance(value, str)]

    assert {line["model"] for line in lines} >= {"wavespeed-ai/flux-dev", "wavespeed-ai/flux-redux-dev"}
    assert all((EXAMPLES / value[1:]).is_file() for value in values if value.startswith("@"))


def test_the_image_has_the_examples_and_works_where_it_may_write() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    copied = {
        name
        for line in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    }
    let_in = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}

    assert f"{demo.EXAMPLES.parent.relative_to(PROJECT)}/" in copied
    assert copied == let_in
    assert re.findall(r"^WORKDIR (.+)", dockerfile, re.MULTILINE)[-1] in re.findall(
        r"^VOLUME (.+)", dockerfile, re.M
    )


@pytest.fixture
def staying(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has run its jobs and stays up."""
    jobs = write_jobs(tmp_path, {"input": {"prompt": "a sea [fault: duration=0.05]"}})
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "demo", "--jobs", jobs],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def connect_to_both(process: subprocess.Popen[str]) -> list[socket.socket]:
    """A connection to each of the two children, made when the demo says that it stays up."""
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if "Ctrl-C" in line:
            break
    urls = sorted(set(re.findall(r"http://127\.0\.0\.1:\d+", "".join(told))))
    assert len(urls) == 2
    return [socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=30) for url in urls]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_it_however_it_ends(staying: subprocess.Popen[str], number: signal.Signals) -> None:
    connections = connect_to_both(staying)

    staying.send_signal(number)

    for connection in connections:
        with connection:
            assert connection.recv(1) == b""
    assert staying.wait(30) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
