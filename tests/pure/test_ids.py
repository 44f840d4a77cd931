"""Ids sort by time and never repeat; API keys are recognised by form and checksum."""

from __future__ import annotations

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import ids


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    made = ids.first_id_at(1_767_323_045_678)
    parsed = uuid.UUID(hex=made)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert ids.id_time(made) == 1_767_323_045_678


def test_a_new_id_is_recognised_and_has_the_time_it_was_made() -> None:
    made = ids.IdSource().new_id(1_767_323_045_678)
    assert ids.is_id(made)
    assert uuid.UUID(hex=made).version == 7
    assert ids.id_time(made) == 1_767_323_045_678


@given(times=st.lists(st.integers(0, (1 << 48) - 2), min_size=2, max_size=50))
def test_ids_only_grow_even_when_the_clock_goes_back(times: list[int]) -> None:
    source = ids.IdSource()
    made = [source.new_id(now) for now in times]
    assert made == sorted(set(made))
    assert ids.id_time(made[-1]) == max(times)


def test_more_ids_than_a_millisecond_holds_still_grow() -> None:
    source = ids.IdSource()
    made = [source.new_id(1_000) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert ids.id_time(made[2_000]) == 1_000
    assert 1_002 <= ids.id_time(made[-1]) <= 1_005


def test_many_ids_at_once_grow_like_those_made_one_by_one() -> None:
    source = ids.IdSource()
    made = [source.new_id(1_000), *source.new_ids(1_000, 5_000), source.new_id(1_000)]
    assert made == sorted(set(made))
    assert len(made) == 5_002
    assert all(map(ids.is_id, made))


def test_ids_share_no_part_but_their_time() -> None:
    made = ids.new_ids(1_000, 2_000)
    assert len({one[16:] for one in made}) == 2_000


def test_ids_made_by_several_threads_at_once_are_all_different() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ids.new_id(0), range(4_000)))
    assert len(set(made)) == 4_000


def test_two_processes_make_different_ids_in_the_same_millisecond() -> None:
    assert len({ids.IdSource().new_id(1_000) for _ in range(1_000)}) == 1_000


@given(ms=st.integers(0, (1 << 48) - 2))
def test_the_first_id_of_a_time_is_a_cursor_between_before_and_after(ms: int) -> None:
    first, following = ids.first_id_at(ms), ids.first_id_at(ms + 1)
    assert ids.is_id(first)
    assert ids.id_time(first) == ms
    assert first < following


def test_the_first_id_of_a_time_is_not_above_any_id_made_then() -> None:
    made = ids.new_id(0)
    assert ids.first_id_at(ids.id_time(made)) <= made < ids.first_id_at(ids.id_time(made) + 1)


def test_a_cursor_beyond_all_times_is_cut_to_the_range_of_ids() -> None:
    assert ids.first_id_at(-5) == ids.first_id_at(0)
    assert ids.is_id(ids.first_id_at(1 << 60))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 32,
        "0190163d8694739b9ea9dd6d5ea0e8c",
        "0190163d8694739b9ea9dd6d5ea0e8cff",
        "0190163D8694739B9EA9DD6D5EA0E8CF",
        "0190163d-8694-739b-9ea9-dd6d5ea0e8cf",
        "0190163d8694739b9ea9dd6d5ea0e8cf\n",
        "0190163d8694739b1ea9dd6d5ea0e8cf",
    ],
)
def test_what_is_no_id_is_not_taken_for_one(text: str) -> None:
    assert not ids.is_id(text)


def test_an_api_key_is_recognised_and_no_two_are_alike() -> None:
    keys = {ids.new_api_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(ids.is_api_key(key) and len(key) == 42 for key in keys)


@given(at=st.integers(4, 41), replacement=st.sampled_from("0129ABYZabyz_-é\n"))
def test_a_mistyped_api_key_is_not_recognised(at: int, replacement: str) -> None:
    key = ids.new_api_key()
    mistyped = key[:at] + replacement + key[at + 1 :]
    assert ids.is_api_key(mistyped) == (mistyped == key)


@given(text=st.text())
def test_any_text_can_be_asked_for_being_a_key_or_an_id(text: str) -> None:
    assert not ids.is_api_key(text)
    assert not ids.is_id(text)


def test_the_checksum_is_crc32_in_base62() -> None:
    assert ids.is_api_key("orc_" + "0" * 32 + "4QKu6P")


def test_a_key_is_kept_as_its_digest_and_shown_by_its_beginning() -> None:
    key = ids.new_api_key()
    assert ids.key_digest(key) == hashlib.sha256(key.encode()).hexdigest()
    assert ids.key_prefix(key) == key[:12]
