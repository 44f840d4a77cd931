"""The real processes that are measured: the sandbox, and Orchestrator in either form."""

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


@dataclass(frozen=True)
class Running:
    """A started process and where it listens."""

    process: subprocess.Popen[bytes]
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid


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
        with _started(command, _environment(provider) | {"ORCHESTRATOR_DATA_DIR": folder} | extra) as process:
            yield Running(process, _server_url(Path(folder) / "server.json", process))


@contextmanager
def serve(provider: str, *, database: str, redis: str) -> Iterator[Running]:
    """The API alone."""
    with _bound_port() as port:
        command = [sys.executable, "-m", "orchestrator.cli", "serve", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    extra = {"DATABASE_URL": database, "REDIS_URL": redis, "PUBLIC_URL": url}
    with _started(command, _environment(provider) | extra) as process:
        wait_until_healthy(url, process)
        yield Running(process, url)


@contextmanager
def worker(provider: str, *, database: str, redis: str, public_url: str) -> Iterator[Running]:
    """A worker alone."""
    command = [sys.executable, "-m", "orchestrator.cli", "worker"]
    extra = {"DATABASE_URL": database, "REDIS_URL": redis, "PUBLIC_URL": public_url}
    with _started(command, _environment(provider) | extra) as process:
        yield Running(process)


def migrate(database: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "migrate"],
        env=os.environ | {"DATABASE_URL": database},
        check=True,
        stderr=subprocess.DEVNULL,
    )


def _environment(provider: str) -> dict[str, str]:
    return {
        "WAVESPEED_BASE_URL": provider,
        "WAVESPEED_API_KEY": "bench",
        "WAVESPEED_PER_MINUTE": "10000000",
        "WAVESPEED_MAX_IN_FLIGHT": "1000000",
        "ORCHESTRATOR_API_KEY": KEY,
        "ORCHESTRATOR_SECRET": _SECRET,
    }


@contextmanager
def _started(command: list[str], extra: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env=os.environ | extra, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    found = re.search(r"http://\S+", line)
    if found is None:
        raise RuntimeError(f"not ready: {line!r}")
    return found[0]


def _server_url(path: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _READY_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    return str(msgspec.json.decode(path.read_bytes(), type=dict)["url"])


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")


@contextmanager
def _bound_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])
