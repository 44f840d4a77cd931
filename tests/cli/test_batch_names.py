"""Names of a batch's files, and the folder that they are in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from orchestrator.cli.bulk.answers import Batch
from orchestrator.cli.bulk.names import Names, claimed, output_names, place_of, safe
from orchestrator.cli.failures import CommandFailed

BATCH = Batch(id="0193f0c2a7b94d6e8f1a2b3c4d5e6f70", state="completed", created_at="", total=3, name="boats")
OTHER = msgspec.structs.replace(BATCH, id="0193f0c2a7b94d6e8f1a2b3c00000000")


@pytest.mark.parametrize(
    ("custom_id", "stem"),
    [
        ("boat", "boat"),
        ("cat.png", "cat"),
        ("v1.2", "v1.2"),
        ("лодка", "лодка"),
        ("../../etc/passwd", "etc_passwd"),
        ("a b/c", "a_b_c"),
        (".hidden", "hidden"),
        ("", "0007"),
        (None, "0007"),
        ("///", "0007"),
        ("results", "results-line7"),
        ("results.jsonl", "results.jsonl-line7"),
    ],
)
def test_a_line_is_named_for_its_custom_id_where_a_disk_can_bear_it(custom_id: str, stem: str) -> None:
    assert Names(100).stem(7, custom_id) == stem


def test_a_long_name_is_cut_where_a_letter_ends() -> None:
    assert len(safe("ж" * 255).encode()) == 120


def test_line_numbers_have_as_many_digits_as_the_batch_needs() -> None:
    assert Names(100_000).stem(7, None) == "000007"


def test_two_lines_never_have_the_same_name() -> None:
    names = Names(10)

    given = [names.stem(line, name) for line, name in enumerate(["cat.png", "cat.jpg", "CAT", "a/b", "a b"])]

    assert len({name.casefold() for name in given}) == 5


@pytest.mark.parametrize("custom_ids", [("boat", "boat-1"), ("boat-1", "boat")])
def test_the_outputs_of_one_line_are_never_named_as_another_line(custom_ids: tuple[str, str]) -> None:
    names = Names(10)
    one, two = (names.stem(line, name) for line, name in enumerate(custom_ids, start=1))

    several = {*output_names(one, "ab"), *output_names(two, "ab"), one, two}

    assert len(several) == 6


def test_numbered_ids_keep_their_names() -> None:
    names = Names(10)

    assert [names.stem(line, f"img-{line}") for line in (1, 2, 3)] == ["img-1", "img-2", "img-3"]


def test_a_single_output_needs_no_number() -> None:
    assert (output_names("a", "x"), output_names("a", "xy")) == (["a"], ["a-1", "a-2"])


def test_a_batch_has_a_folder_of_its_own() -> None:
    assert place_of(BATCH, None) == Path("boats-4d5e6f70")


def test_a_folder_with_other_things_in_it_is_not_mixed_with_outputs(tmp_path: Path) -> None:
    (tmp_path / "cat.png").touch()

    assert place_of(BATCH, tmp_path) == tmp_path / "boats-4d5e6f70"


def test_a_new_folder_is_taken_and_found_again(tmp_path: Path) -> None:
    wanted = tmp_path / "art"
    assert place_of(BATCH, wanted) == wanted

    with claimed(wanted, BATCH):
        pass

    assert place_of(BATCH, wanted) == wanted
    assert place_of(OTHER, wanted) == wanted / "boats-00000000"


def test_a_folder_of_another_batch_is_left_alone(tmp_path: Path) -> None:
    with claimed(tmp_path, OTHER):
        pass

    with pytest.raises(CommandFailed, match="another batch"), claimed(tmp_path, BATCH):
        pass


def test_two_commands_save_in_one_folder_one_after_the_other(tmp_path: Path) -> None:
    def save() -> None:
        with claimed(tmp_path, BATCH):
            pass

    with ThreadPoolExecutor(1) as threads:
        with claimed(tmp_path, BATCH):
            other = threads.submit(save)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.2)
        other.result(timeout=10)
