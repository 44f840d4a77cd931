"""A stand-in provider and an `up`, as processes of their own, and the command line as people call it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.cli.children import running_sandbox, running_up
from orchestrator.cli.client import Running

PROJECT = Path(__file__).parents[2]
"""Commands are those of the code beside these tests, wherever they are called."""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_sandbox(tier="none", folder=tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that commands are called in; `up` keeps its things in `data` below it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "data").mkdir()
    return folder


@pytest.fixture(scope="session")
def up(sandbox_url: str, home: Path) -> Iterator[Running]:
    with running_up(tier="ultra", sandbox_url=sandbox_url, data_dir=home / "data", folder=home) as running:
        yield running


@pytest.fixture
def orchestrator(tmp_path: Path) -> Command:
    """Calls the command line in an empty folder, or in `cwd`, with these settings and no others."""

    def call(*words: str, cwd: Path = tmp_path, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *words],
            cwd=cwd,
            env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def format_of(path: Path) -> str | None:
    """What kind of picture the file holds; raises when it holds none."""
    with Image.open(path) as picture:
        return picture.format
