"""`python -m orchestrator.cli`: the command line without its installed script."""

from __future__ import annotations

from orchestrator.cli.app import main

if __name__ == "__main__":
    main()
