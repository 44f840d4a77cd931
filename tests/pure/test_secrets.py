"""The secrets that the embedded default makes for itself, once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestrator.settings import keep_secret


def test_a_secret_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    assert keep_secret(path) == keep_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret"]


@pytest.mark.parametrize("left", ["", "\n"])
def test_an_empty_file_is_no_secret(tmp_path: Path, left: str) -> None:
    path = tmp_path / "api_key"
    path.write_text(left)
    assert keep_secret(path, "orc_1") == "orc_1"
    assert keep_secret(path, "orc_2") == "orc_1"


def test_what_a_broken_attempt_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("hal")
    made = keep_secret(tmp_path / "secret")
    assert len(made) > 40
