"""Which batch of one source `--again` goes on with."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.bulk.newest import newest_of


def test_one_more_is_gone_on_with_until_it_is_finished(tmp_path: Path) -> None:
    assert newest_of("a", tmp_path, is_new=False).nonce == ""
    more = newest_of("a", tmp_path, is_new=True)
    more.begin()
    assert more.nonce != ""
    for is_new in (True, False):
        assert newest_of("a", tmp_path, is_new=is_new).nonce == more.nonce
    more.finish()
    assert newest_of("a", tmp_path, is_new=False).nonce == more.nonce
    assert newest_of("a", tmp_path, is_new=True).nonce not in ("", more.nonce)
    assert newest_of("b", tmp_path, is_new=False).nonce == ""


def test_a_memory_that_was_cut_off_is_like_none(tmp_path: Path) -> None:
    (tmp_path / "a.newest").write_text("")
    assert newest_of("a", tmp_path, is_new=False).nonce == ""
    assert newest_of("a", tmp_path, is_new=True).nonce != ""
