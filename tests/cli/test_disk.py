"""What is cleared away of a folder, beside another command that does the same."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.cli.disk import clear_away


def test_only_what_is_old_goes_and_what_is_gone_already_is_no_fault(tmp_path: Path) -> None:
    old, new, gone = (tmp_path / name for name in ("old", "new", "gone"))
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    clear_away([gone, old, new], older_than_s=60)
    assert list(tmp_path.iterdir()) == [new]
