"""What `batch` reads: files of lines and folders of images, as the lines that are sent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.cli.bulk.lines import Shared
from orchestrator.cli.bulk.sources import open_source
from orchestrator.cli.failures import BadSource
from orchestrator.cli.values import LocalFile
from orchestrator.flow.table import typed

FLUX = "wavespeed-ai/flux-dev"
EXAMPLES = Path(__file__).parents[2] / "examples"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sent(path: Path, **shared: Any) -> list[bytes]:
    return list(open_source(path, Shared(**shared)).lines({}))


def values(path: Path, **shared: Any) -> list[Any]:
    """Of the lines that are not blank."""
    return [json.loads(line) for line in sent(path, **shared) if line]


def test_whole_lines_stay_as_they_are_and_bare_inputs_are_wrapped(tmp_path: Path) -> None:
    whole = '{"custom_id":"a","model":"m","input":{"prompt":"x"},"priority":2}'
    path = written(tmp_path / "b.jsonl", whole + '\n{"prompt":"y"}\n')

    assert sent(path) == [whole.encode(), b'{"input":{"prompt":"y"}}']


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"input": "text"}, {"input": "text"}),
        ({"input": {"a": 1}, "note": "x"}, {"input": {"a": 1}, "note": "x"}),
        ({"input": "text", "voice": "alto"}, {"input": {"input": "text", "voice": "alto"}}),
        ({"input": "text", "priority": 2}, {"input": "text", "priority": 2}),
    ],
)
def test_an_input_named_input_is_told_from_a_whole_line(tmp_path: Path, value: Any, line: Any) -> None:
    assert values(written(tmp_path / "b.jsonl", json.dumps(value))) == [line]


@pytest.mark.parametrize("name", ["custom_id", "model", "not_before"])
def test_inputs_beside_a_key_of_lines_are_left_for_the_server_to_refuse(tmp_path: Path, name: str) -> None:
    value = {"prompt": "x", name: "y"}

    assert values(written(tmp_path / "b.jsonl", json.dumps(value)), model=FLUX) == [value]


def test_line_numbers_stay_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "b.ndjson", b'\xef\xbb\xbf{"a":1}\r\n\r\n  \nno json\n[1]\n{"b":2}')

    assert sent(path) == [b'{"input":{"a":1}}', b"", b"", b"no json", b"[1]", b'{"input":{"b":2}}']


def test_shared_inputs_fill_only_what_a_line_leaves_out(tmp_path: Path) -> None:
    path = written(tmp_path / "b.jsonl", '{"seed":1}\n{"custom_id":"a","input":{}}\n')

    found = values(path, defaults={"seed": 7, "size": "512*512"})

    assert [line["input"] for line in found] == [
        {"seed": 1, "size": "512*512"},
        {"seed": 7, "size": "512*512"},
    ]


def test_of_a_line_beyond_all_bounds_goes_what_shows_that_it_is_too_long(tmp_path: Path) -> None:
    path = written(tmp_path / "b.jsonl", b'{}\n{"a":"' + b"x" * 31_000_000 + b'"}\n{"b":1}\n')

    before, long, after = sent(path)

    assert (before, after) == (b'{"input":{}}', b'{"input":{"b":1}}')
    assert len(long) == 10 * 1024 * 1024 + 1


def test_a_json_array_is_a_line_for_each_item(tmp_path: Path) -> None:
    path = written(tmp_path / "b.json", '[{"prompt":"x"}, {"custom_id":"a","input":{}}, 7]')

    assert sent(path) == [b'{"input":{"prompt":"x"}}', b'{"custom_id":"a","input":{}}', b"7"]


def test_a_wrong_item_of_a_json_array_is_a_wrong_line_like_others(tmp_path: Path) -> None:
    path = written(tmp_path / "b.json", '[{"a":1,\n"a":2}, {"a":"\\u0000"}, {"b":1}]')

    assert sent(path) == [b'{"a":1, "a":2}', b'{"a":"\\u0000"}', b'{"input":{"b":1}}']


@pytest.mark.parametrize(("content", "why"), [("{}", "must hold a JSON array"), ("[1", "not valid JSON")])
def test_other_json_is_refused(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(BadSource, match=why):
        sent(written(tmp_path / "b.json", content))


def test_a_csv_row_is_a_line_with_its_own_columns_and_typed_inputs(tmp_path: Path) -> None:
    path = written(
        tmp_path / "b.csv",
        "custom_id,priority,prompt,seed,guidance_scale,enable_base64_output,size\n"
        '7,2,"like, this",4,3.5,TRUE,512*512\n'
        "8,,42,,,,\n",
    )

    assert values(path, model=FLUX) == [
        {
            "custom_id": "7",
            "priority": 2,
            "input": {
                "prompt": "like, this",
                "seed": 4,
                "guidance_scale": 3.5,
                "enable_base64_output": True,
                "size": "512*512",
            },
        },
        {"custom_id": "8", "input": {"prompt": "42"}},
    ]


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        ("4", "seed", 4),
        ("4.0", "seed", 4),
        ("many", "seed", "many"),
        ("4", "guidance_scale", 4),
        ("false", "enable_base64_output", False),
        ("True", "prompt", "True"),
        ("4", "prompt", "4"),
        ('["a"]', "prompt", '["a"]'),
    ],
)
def test_a_cell_has_the_kind_that_the_models_page_names(cell: str, name: str, value: Any) -> None:
    found = typed(cell, model=FLUX, name=name)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("cell", "value"),
    [("4", 4), ("4.5", 4.5), ("TRUE", True), ("a boat", "a boat"), ('"4"', "4"), ('["a"]', ["a"])],
)
def test_without_a_page_a_cell_is_a_json_value_where_it_is_one(cell: str, value: Any) -> None:
    assert typed(cell, model="unknown/model", name="x") == value


def test_a_rows_own_model_decides_its_kinds(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv", f"model,prompt\n{FLUX},42\nunknown/model,42\n")

    assert [line["input"]["prompt"] for line in values(path)] == ["42", 42]


def test_the_times_of_a_row_are_the_lines_own_and_no_inputs(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv", "prompt,not_before,finish_by\nx,2027-01-31T22:00:00Z,\n")

    assert values(path) == [{"not_before": "2027-01-31T22:00:00Z", "input": {"prompt": "x"}}]


def test_line_numbers_of_a_csv_are_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv", 'prompt\n"two\nlines"\n\n,\nx\n')

    lines = sent(path)

    assert [number for number, line in enumerate(lines, start=1) if line] == [2, 6]


def test_a_spreadsheet_with_semicolons_and_a_mark_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv", b"\xef\xbb\xbfcustom_id;prompt\r\na;like, this\r\n")

    assert values(path, model=FLUX) == [{"custom_id": "a", "input": {"prompt": "like, this"}}]


def test_a_cell_without_a_column_is_left_for_the_server_to_refuse_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv", "prompt,seed\nlike, this,4\nx,5\n")

    assert values(path, model=FLUX) == [
        {"input": {"prompt": "like", "seed": " this"}, "cell 3 of 2": "4"},
        {"input": {"prompt": "x", "seed": 5}},
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the first line must name the columns"),
        (b",,\na,b,c\n", "the first line must name the columns"),
        (b"a lighthouse at dusk,7\n", "'a lighthouse at dusk', is no name"),
        (b"prompt,\nx,\n", "column 2, ''"),
        (b"prompt,seed,prompt\n", "two columns are named 'prompt'"),
        (b'prompt\n"open\nx\ny\n', "line 2: a quote is never closed"),
        (b'prompt\nx\n"a boat" at sea\n', "line 3: ',' expected"),
        (b'prompt\n"open\nx\n"a boat"\n', "lines 2 to 4: ',' expected"),
        (b"prompt\n\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, content: bytes, why: str
) -> None:
    with pytest.raises(BadSource, match=why):
        sent(written(tmp_path / "b.csv", content))


@pytest.mark.parametrize(
    ("header", "model", "strange"),
    [
        ("lighthouse", FLUX, ("lighthouse",)),
        ("lighthouse,boat", "acme/some-model", ("lighthouse", "boat")),
        ("Prompt", FLUX, ("Prompt",)),
        ("voice", FLUX, ("voice",)),
        ("prompt,mood", FLUX, ()),
        ("prompt,mood", "acme/some-model", ()),
        ("custom_id,mood", FLUX, ()),
    ],
)
def test_columns_none_of_which_is_known_are_told(
    tmp_path: Path, header: str, model: str, strange: tuple[str, ...]
) -> None:
    path = written(tmp_path / "b.csv", f"{header}\nboat\n")

    assert open_source(path, Shared(model=model)).strange == strange


def test_a_folders_images_are_lines_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "notes.txt", "._a.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "c.png").mkdir()

    source = open_source(tmp_path, Shared(image_field="picture", defaults={"seed": 7}))
    lines = source.lines({tmp_path / "a.jpg": "https://x/a", tmp_path / "b.PNG": "https://x/b"})

    assert list(map(json.loads, lines)) == [
        {"custom_id": "a.jpg", "input": {"seed": 7, "picture": "https://x/a"}},
        {"custom_id": "b.PNG", "input": {"seed": 7, "picture": "https://x/b"}},
    ]
    assert source.files == (tmp_path / "a.jpg", tmp_path / "b.PNG")
    assert source.left_out == ("c.png", "notes.txt")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="holds no image"):
        open_source(tmp_path, Shared())


def test_an_image_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    for name in (b"a.png", b"b\xff.png"):
        (tmp_path / os.fsdecode(name)).touch()

    with pytest.raises(BadSource, match=r"not UTF-8: rename 'b\\udcff\.png'"):
        open_source(tmp_path, Shared())


def test_an_image_too_large_to_be_uploaded_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "b.jsonl", "{}")
    for name, size in (("a.png", 200 * 1024 * 1024), ("b.png", 200 * 1024 * 1024 + 1)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)

    with pytest.raises(BadSource, match=r"b\.png is larger than 200 MB"):
        open_source(tmp_path, Shared())
    with pytest.raises(BadSource, match=r"b\.png is larger than 200 MB"):
        open_source(path, Shared(defaults={"image": LocalFile(tmp_path / "b.png")}))


def test_a_shared_file_goes_along_as_its_url(tmp_path: Path) -> None:
    boat = written(tmp_path / "boat.png", b"boat")
    path = written(tmp_path / "b.jsonl", '{"seed":1}')

    source = open_source(path, Shared(defaults={"image": LocalFile(boat)}))

    assert source.files == (boat,)
    assert b'"image":"https://x/boat"' in next(source.lines({boat: "https://x/boat"}))


def test_any_other_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match=r"a batch is a \.jsonl"):
        open_source(written(tmp_path / "b.txt", "x"), Shared())


@pytest.mark.parametrize("name", ["batch.jsonl", "batch.csv"])
def test_the_examples_are_right(name: str) -> None:
    lines = values(EXAMPLES / name, model=FLUX)

    for line in lines:
        Catalogue().check(FLUX, "v3", line["input"])
    assert len({line["custom_id"] for line in lines}) == len(lines)
