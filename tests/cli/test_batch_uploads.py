"""What is remembered of uploaded files, so that a second run sends the same lines as the first."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.bulk.uploads import Memory, Upload


def test_where_a_file_was_first_is_where_it_is(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "b.jsonl")

    for url in ("https://x/1", "https://x/2"):
        memory.add(Upload("abc", url))

    assert memory.urls() == {"abc": "https://x/1"}
