"""Runs a module that ends when the process that started it does: its standard input is the leash.

    python -m orchestrator.cli.leashed MODULE ARGUMENTS…

The other end of the pipe closes when its holder ends, however it ends; unlike a signal at the parent's
death this works on every system.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

_GRACE_S = 12.0


def main() -> None:
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    threading.Thread(target=_end_with_holder, daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_holder() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
