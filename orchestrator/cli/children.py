"""The demo's two processes: the stand-in provider and `up`; neither outlives the demo.

They get no setting but those named here, so that no key of the person's own can be spent, and run in a
session of their own, so that Ctrl-C reaches the demo alone and it can end them in order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli.client import SERVER_FILE, Running, read_running
from orchestrator.cli.failures import CommandFailed

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_START_S = 30.0
_END_S = 15.0
_LOOK_S = 0.05


@contextmanager
def running_sandbox(*, tier: str, folder: Path) -> Iterator[str]:
    """Gives the URL of a sandbox on a free port."""
    arguments = ["orchestrator.sandbox", "--port", "0", "--tier", tier]
    with _running(arguments, {}, folder=folder, log_name="sandbox.log") as process:
        assert process.stdout is not None  # noqa: S101  it is piped below
        first_line = process.stdout.readline()
        if "http://" not in first_line:
            raise CommandFailed(f"The sandbox did not start; {folder / 'sandbox.log'} tells why.")
        yield first_line.split()[-1]


@contextmanager
def running_up(*, tier: str, sandbox_url: str, data_dir: Path, folder: Path) -> Iterator[Running]:
    """Gives the address and key of an `up` on a free port, which the sandbox calls back."""
    settings = {
        "ORCHESTRATOR_DATA_DIR": str(data_dir),
        "WAVESPEED_BASE_URL": sandbox_url,
        "WAVESPEED_API_KEY": "demo",
        "WAVESPEED_TIER": tier,
    }
    arguments = ["orchestrator.cli", "up", "--port", "0"]
    with _running(arguments, settings, folder=folder, log_name="up.log", cwd=data_dir) as process:
        yield _await_server(process, data_dir, folder / "up.log")


@contextmanager
def _running(
    arguments: Sequence[str],
    settings: Mapping[str, str],
    *,
    folder: Path,
    log_name: str,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    with (folder / log_name).open("w") as log:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and our own modules
            [sys.executable, "-m", "orchestrator.cli.leashed", *arguments],
            env={"PATH": os.defpath, "PYTHONPATH": str(_PACKAGE_PARENT), **settings},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _await_server(process: subprocess.Popen[str], data_dir: Path, log: Path) -> Running:
    deadline = time.monotonic() + _START_S
    while (running := read_running(data_dir)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandFailed(f"`orchestrator up` did not write {data_dir / SERVER_FILE}; {log} tells why.")
        time.sleep(_LOOK_S)
    return running
