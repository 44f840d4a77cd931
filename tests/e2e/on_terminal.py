"""`python -m tests.e2e.on_terminal MODULE …`: runs a module on a terminal and copies what it says."""

from __future__ import annotations

import pty
import sys

if __name__ == "__main__":
    pty.spawn([sys.executable, "-m", *sys.argv[1:]])
