"""How the command line begins: quickly, and to be broken off at any time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orchestrator.cli import __main__
from tests.cli.conftest import PROJECT, Command

LATE = {"redis", "jwt", "cryptography", "sqlalchemy", "starlette", "uvicorn", "PIL"}


def test_ctrl_c_while_it_loads_is_no_traceback(orchestrator: Command, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")

    told = orchestrator("--version")

    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")


def test_the_installed_script_begins_at_the_same_place() -> None:
    assert f'orchestrator = "{__main__.__name__}:main"' in (PROJECT / "pyproject.toml").read_text()


def test_what_servers_need_is_not_loaded_for_every_command() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, orchestrator.cli.app; print(*sys.modules)"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert LATE & set(told.stdout.split()) == set()
