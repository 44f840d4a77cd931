"""Ends servers and removes folders once the process that started it is gone, however that one ended.

Run by process.py with a pipe as its standard input; a closed pipe is the one sign of death that even SIGKILL
leaves behind. Lines it reads: `watch PID SIGNAL`, `forget PID`, `remove FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 5.0


def main() -> None:
    signals: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        match line.rstrip("\n").split(" "):
            case ["watch", pid, number]:
                signals[int(pid)] = int(number)
            case ["forget", pid]:
                signals.pop(int(pid), None)
            case ["remove", *path]:
                folders.append(" ".join(path))
    end_all(signals)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end_all(signals: dict[int, int]) -> None:
    """Send each server its signal, and SIGKILL where it is still there after some seconds."""
    for pid, number in signals.items():
        send(pid, number)
    give_up_at = time.monotonic() + PATIENCE_S
    while any(map(is_running, signals)) and time.monotonic() < give_up_at:
        time.sleep(0.02)  # they are not our children: there is nothing to wait on
    for pid in filter(is_running, signals):
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def is_running(pid: int) -> bool:
    """A zombie has ended, though a container's first process may take seconds to let its id go."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # without /proc the signal's word has to do


if __name__ == "__main__":
    main()
