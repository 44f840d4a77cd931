"""Named places at which a test kills or freezes the process, so that every transition is hit on purpose.

A no-op unless ORCHESTRATOR_CRASHPOINT names the place; `name:3` means the third time it is passed.
ORCHESTRATOR_CRASHSIGNAL names another signal than SIGKILL, such as SIGSTOP.
"""

from __future__ import annotations

import os
import signal

# Read here and not in settings.py: the pure floor may not import it, and no user ever sets it.
_NAME, _, _COUNT = os.environ.get("ORCHESTRATOR_CRASHPOINT", "").partition(":")
_SIGNAL = signal.Signals[os.environ.get("ORCHESTRATOR_CRASHSIGNAL", "SIGKILL")]
_passes_left = int(_COUNT or 1)


def crashpoint(name: str) -> None:
    """Send this process the signal if the environment names this place."""
    global _passes_left
    if name != _NAME:
        return
    _passes_left -= 1
    if _passes_left == 0:
        os.kill(os.getpid(), _SIGNAL)
