"""What is remembered of uploaded files, so that a second run sends the same lines as the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.bulk.uploads import Memory, Upload

NOW = 1_800_000_000.0
DAY = 86_400.0


def test_where_a_file_was_first_is_where_it_is(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "b.jsonl")

    for url in ("https://x/1", "https://x/2"):
        memory.add(Upload("abc", url, at=NOW))

    assert memory.urls(NOW) == {"abc": "https://x/1"}


@pytest.mark.parametrize(("age", "url"), [(6 * DAY, "https://x/old"), (7 * DAY - 1, "https://x/new")])
def test_an_upload_is_used_as_long_as_the_provider_keeps_it(tmp_path: Path, age: float, url: str) -> None:
    memory = Memory(tmp_path / "b.jsonl")

    memory.add(Upload("abc", "https://x/old", at=NOW - age))
    memory.add(Upload("abc", "https://x/new", at=NOW))

    assert memory.urls(NOW) == {"abc": url}
