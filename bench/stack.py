"""The real processes that are measured: the sandbox, and Orchestrator in either form.

They get no setting but those named here and start in an empty folder, so that no database and no key of the
person's own is touched.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

KEY = "orc_bench000000000000000000000000000000000"
_SECRET = "a secret that only this benchmark uses"
_READY_S = 20.0
_TOLD = 2_000
_BARE = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(Path(__file__).parents[1])}


@dataclass(frozen=True)
class Process:
    """A started process; what it complains of is in the file `complaints`."""

    popen: subprocess.Popen[bytes]
    complaints: Path

    def failure(self) -> RuntimeError:
        said = self.complaints.read_text(errors="replace")
        return RuntimeError(f"it did not start: {said[-_TOLD:].strip() or 'it said nothing'}")


@dataclass(frozen=True)
class Running:
    """A started process and where it listens."""

    process: Process
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.popen.pid


@contextmanager
def sandbox(*, duration_s: float = 0.0) -> Iterator[Running]:
    """The provider's stand-in, without limits."""
    command = [sys.executable, "-m", "orchestrator.sandbox", "--tier", "none", "--duration", str(duration_s)]
    with _started(command, {}) as process:
        yield Running(process, _address(process))


@contextmanager
def up(provider: str, **extra: str) -> Iterator[Running]:
    """API and worker in one process on SQLite and the private Valkey."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "orchestrator.cli", "up", "--port", "0"]
        with _started(command, environment(provider) | {"ORCHESTRATOR_DATA_DIR": folder} | extra) as process:
            yield Running(process, _server_url(Path(folder) / "server.json", process))


@contextmanager
def serve(provider: str, *, database: str, redis: str) -> Iterator[Running]:
    """The API alone."""
    with _bound_port() as port:
        command = [sys.executable, "-m", "orchestrator.cli", "serve", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    extra = {"DATABASE_URL": database, "REDIS_URL": redis, "PUBLIC_URL": url}
    with _started(command, environment(provider) | extra) as process:
        wait_until_healthy(url, process)
        yield Running(process, url)


@contextmanager
def worker(provider: str, *, database: str, redis: str, public_url: str) -> Iterator[Running]:
    """A worker alone."""
    command = [sys.executable, "-m", "orchestrator.cli", "worker"]
    extra = {"DATABASE_URL": database, "REDIS_URL": redis, "PUBLIC_URL": public_url}
    with _started(command, environment(provider) | extra) as process:
        yield Running(process)


def migrate(database: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "migrate"],
        env=_BARE | {"DATABASE_URL": database},
        cwd=tempfile.gettempdir(),
        check=True,
        stderr=subprocess.DEVNULL,
    )


def environment(provider: str) -> dict[str, str]:
    return {
        "WAVESPEED_BASE_URL": provider,
        "WAVESPEED_API_KEY": "bench",
        "WAVESPEED_PER_MINUTE": "10000000",
        "WAVESPEED_MAX_IN_FLIGHT": "1000000",
        "ORCHESTRATOR_API_KEY": KEY,
        "ORCHESTRATOR_SECRET": _SECRET,
    }


@contextmanager
def _started(command: list[str], settings: dict[str, str]) -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as folder:
        complaints = Path(folder) / "complaints"
        with complaints.open("wb") as stderr:
            popen = subprocess.Popen(
                command, env=_BARE | settings, cwd=folder, stdout=subprocess.PIPE, stderr=stderr
            )
        try:
            yield Process(popen, complaints)
        finally:
            _end(popen)


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.send_signal(signal.SIGTERM)
    try:
        popen.wait(15)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def _address(process: Process) -> str:
    assert process.popen.stdout is not None
    line = process.popen.stdout.readline().decode()
    found = re.search(r"http://\S+", line)
    if found is None:
        raise process.failure()
    return found[0]


def _server_url(path: Path, process: Process) -> str:
    deadline = time.monotonic() + _READY_S
    while not path.exists():
        if process.popen.poll() is not None or time.monotonic() > deadline:
            raise process.failure()
        time.sleep(0.01)
    return str(msgspec.json.decode(path.read_bytes(), type=dict)["url"])


def wait_until_healthy(url: str, process: Process) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.popen.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise process.failure()


@contextmanager
def _bound_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])
