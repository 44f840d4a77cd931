"""The border's decoder takes what `json` takes, less what must not come in, and says where it is."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.strict_json import decode, decode_object, encode, encode_sorted

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(value=VALUES, escaped=st.booleans(), indent=st.sampled_from([None, 2]))
def test_what_json_writes_is_read_back(value: Any, escaped: bool, indent: int | None) -> None:
    assert decode(json.dumps(value, ensure_ascii=escaped, indent=indent).encode()) == value


@given(value=VALUES)
def test_what_is_encoded_is_read_back_by_both(value: Any) -> None:
    body = encode(value)
    assert decode(body) == value
    assert json.loads(body) == value


def test_the_order_of_keys_leaves_no_trace_where_they_are_sorted() -> None:
    one, same = {"b": [{"d": 1, "c": 2}], "a": "é"}, {"a": "é", "b": [{"c": 2, "d": 1}]}
    assert encode(one) != encode(same)
    assert encode_sorted(one) == encode_sorted(same) == '{"a":"é","b":[{"c":2,"d":1}]}'.encode()


@given(body=st.binary(max_size=40) | st.text('{}[]":,\\u00d8e1-.\n a', max_size=40).map(str.encode))
def test_any_bytes_are_read_as_json_reads_them_or_refused(body: bytes) -> None:
    try:
        value = decode(body)
    except InvalidInput:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"01",
        b"[1,]",
        b"{'a':1}",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'{"\xc3":1}',
        b'"\xed\xa0\x80"',
        b'"\x00"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'{"\\ud800":1}',
        '"é"'.encode("utf-16"),
        '"é"'.encode("latin-1"),
    ],
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^line 3 is not valid JSON") as refusal:
        decode(body, what="line 3")
    assert refusal.value.field == ""


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        (b'{"prompt":"a\\u0000b"}', "prompt", "prompt: must not hold a NUL character"),
        (b'{"loras":[{},{"path":"\\u0000"}]}', "loras[1].path", "NUL"),
        (b'{"a":{"b\\u0000":1}}', "a", "NUL"),
        (b'{"prompt":"\\ud800"}', "prompt", "prompt: must be valid Unicode"),
        (b'{"a":[{"b":"\xff"}]}', "a[0].b", "valid Unicode, in UTF-8"),
        (b'{"seed":1e999}', "seed", "seed: must be a number that is not out of range"),
        (b'{"a":[1,-Infinity]}', "a[1]", "out of range"),
        (b'{"a":[1,9223372036854775808]}', "a[1]", r"a\[1\]: must fit into 64 bits"),
        (b'{"a":-9223372036854775809}', "a", "64 bits"),
        (b'{"a":"\\n","b":1' + b"0" * 5_00 + b"}", "b", "64 bits"),
        (b'{"seed":1,"seed":2}', "seed", "seed: must be given only once"),
        (b'{"seed":1,"\\u0073eed":1}', "seed", "only once"),
        (b'[{"a":{"b":1,"c":2,"b":1}}]', "[0].a.b", "only once"),
        (b'{"a":"x:y","a":"x:y"}', "a", "only once"),
        (b'"\\u0000"', "", "the JSON text must not hold a NUL"),
        (b"9223372036854775808", "", "the JSON text must fit"),
    ],
)
def test_a_refused_value_is_named_by_its_path(body: bytes, field: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as refusal:
        decode(body)
    assert refusal.value.field == field


@pytest.mark.parametrize("number", [9223372036854775807, -9223372036854775808])
def test_integers_of_64_bits_are_taken(number: int) -> None:
    assert decode(b"[%d]" % number) == [number]


def test_escapes_that_mean_nothing_bad_are_taken() -> None:
    assert decode(b'{"a":"\\\\u0000 \\ud83d\\ude00 \\u00e9 \\"x\\":"}') == {"a": '\\u0000 😀 é "x":'}


@pytest.mark.parametrize("inner", [b"1", b'"\\n"'])
@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [64, 65, 500, 2_000, 200_000])
def test_nesting_ends_at_64_levels(inner: bytes, start: bytes, end: bytes, depth: int) -> None:
    body = start * depth + inner + end * depth
    if depth == 64:
        assert decode(body) == json.loads(body)
        return
    with pytest.raises(InvalidInput, match="nested more than 64 levels deep"):
        decode(body)


def test_wide_values_are_not_taken_for_deep_ones() -> None:
    assert decode(b"[" + b"[]," * 1_000 + b"[]]") == [[]] * 1_001


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null"])
def test_only_an_object_is_an_object(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="the body must be a JSON object"):
        decode_object(body)


def test_an_object_is_an_object() -> None:
    assert decode_object(b' {"a": 1.0} ') == {"a": 1.0}


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(number: float) -> None:
    read = decode(encode(number))
    assert math.copysign(1.0, read) == math.copysign(1.0, number)
    assert read == number
