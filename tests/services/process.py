"""A real server for tests: started until it answers, killed and restarted at will, and never left behind.

postgres.py and valkey.py build on it. keeper.py cleans up when the tests themselves are killed.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

START_S = 30.0
END_S = 15.0
TEXTS_IN_ENGLISH = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass
class Process:
    """One server; `restart` starts it again with the same arguments and folder."""

    argv: Sequence[str]
    folder: Path
    is_ready: Callable[[int], bool]
    quit_signal: signal.Signals
    user: str | None = None
    running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            server = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=TEXTS_IN_ENGLISH,
                user=self.user,
                group=group_of(self.user),
                extra_groups=None if self.user is None else [],
                start_new_session=True,  # Ctrl-C is for the tests, which then end their servers in order
            )
        self.running = server
        tell_keeper(f"watch {server.pid} {self.quit_signal.value}")
        self._wait_until_ready(server)

    def end(self, number: signal.Signals) -> None:
        """Send the signal and wait for the end; a server that has already ended is left in peace."""
        if self.running is None:
            return
        server, self.running = self.running, None
        server.send_signal(number)
        try:
            server.wait(END_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        tell_keeper(f"forget {server.pid}")

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + START_S
        while not self.is_ready(server.pid):
            if server.poll() is not None or time.monotonic() > give_up_at:
                self.end(signal.SIGKILL)
                said = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.argv[0]} did not start:\n{said}")
            time.sleep(0.01)  # neither server can tell a stranger that it is up


def temporary_folder(prefix: str, *, user: str | None = None) -> Path:
    """A new folder owned by `user`, removed when this process is gone; short, for it holds Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix=f"orchestrator-{prefix}-"))
    tell_keeper(f"remove {folder}")
    if user is not None:
        shutil.chown(folder, user, group_of(user))
    return folder


def group_of(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid


def tell_keeper(line: str) -> None:
    keeper = _keeper()
    assert keeper.stdin is not None
    keeper.stdin.write(f"{line}\n")
    keeper.stdin.flush()


@cache
def _keeper() -> subprocess.Popen[str]:
    script = Path(__file__).with_name("keeper.py")
    argv = [sys.executable, "-I", "-S", str(script)]
    keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(_dismiss, keeper)
    return keeper


def _dismiss(keeper: subprocess.Popen[str]) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
