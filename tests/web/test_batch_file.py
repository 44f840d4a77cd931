"""Files of people as the lines of a batch, as the form of the dashboard reads them."""

from __future__ import annotations

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.web.dashboard.batch_file import lines_of
from orchestrator.web.lines import TextLines

FLUX = "wavespeed-ai/flux-dev"


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.jsonl", b'{"custom_id":"a","input":{"x":1}}\n', ['{"custom_id":"a","input":{"x":1}}', ""]),
        ("a.jsonl", b'{"prompt":"x"}\r\n\r\nno json', ['{"input":{"prompt":"x"}}', "", "no json"]),
        ("a.jsonl", b'\xef\xbb\xbf{"a":\r1}', ['{"input":{"a":1}}']),
        ("a.json", b'[{"prompt":"x"}, 7]', ['{"input":{"prompt":"x"}}', "7"]),
        ("a.json", b'[{"a":1,\n"a":2},{"b":1}]', ['{"a":1, "a":2}', '{"input":{"b":1}}']),
        ("a.csv", b"prompt\nlike, this\n", ["", '{"input":{"prompt":"like"},"cell 2 of 1":" this"}']),
        ("A.CSV", b"prompt;seed\nx;4\n", ["", '{"input":{"prompt":"x","seed":4}}']),
        (
            "a.csv",
            b'prompt\n"x\ny"\nz\n',
            ["", '{"input":{"prompt":"x\\ny"}}', "", '{"input":{"prompt":"z"}}'],
        ),
    ],
)
def test_a_file_becomes_lines_with_the_numbers_of_the_file(
    name: str, content: bytes, lines: list[str]
) -> None:
    assert lines_of(content, name=name, model=FLUX).split("\n") == lines


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", b"\xff", "is not UTF-8"),
        ("a.jsonl", b" \n", "is empty"),
        ("a.csv", b'prompt\n"like, this\n', "line 2"),
        ("a.json", b"[1", "not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_at_its_field(name: str, content: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        lines_of(content, name=name, model=FLUX)
    assert refused.value.field == "file"


async def test_lines_of_a_form_are_numbered_as_they_stand_and_blank_ones_left_out() -> None:
    source = TextLines("a\n\nb")
    assert [line async for piece in source.pieces() for line in piece] == [(1, b"a"), (3, b"b")]
