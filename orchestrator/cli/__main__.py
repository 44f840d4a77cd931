"""Where the command line begins: the installed script, and `python -m orchestrator.cli`.

It loads the commands when it runs, so that Ctrl-C in that half second is no traceback either.
"""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run what was typed."""
    try:
        from orchestrator.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
