"""What is wrong with a batch or with one of its lines is said in words of its own, and nothing is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e import bulk
from tests.e2e.bulk import BATCHES, jsonl, line, send
from tests.e2e.stack import FLUX, Stack, data_of

MB = 1024 * 1024

BAD_LINES: dict[str, tuple[Any, str, str]] = {
    "no JSON": ("{", "", "not valid JSON"),
    "no object": ("[1]", "", "object"),
    "a key twice": ('{"input": {}, "input": {}}', "input", ""),
    "no input": ({"custom_id": "x"}, "input", "must be an object"),
    "a wrong input": ({"input": {"prompt": 5}}, "prompt", ""),
    "an unknown key": (line(inptu={}), "inptu", "is unknown; a line has"),
    "a bare input": ({"prompt": "a boat"}, "prompt", "; inputs of the model go under `input`"),
    "a number as custom_id": (line(custom_id=5), "custom_id", "must be a text"),
    "a long custom_id": (line(custom_id="x" * 256), "custom_id", "255"),
    "a number as model": (line(model=5), "model", "is required"),
    **{
        f"{model} as model": (f'{{"model": {model}, "input": {{}}}}', "model", "is required")
        for model in ("0", "false", "[]", "{}")
    },
    "a bad webhook": (line(webhook="ftp://example.com"), "webhook", "https://"),
    "a bad priority": (line(priority=10), "priority", "0 (first) to 9 (last)"),
    "a bad time": (line(not_before="soon"), "not_before", "must be a time"),
    "an end before its beginning": (
        line(not_before="2999-01-02T00:00:00Z", finish_by="2999-01-01T00:00:00Z"),
        "finish_by",
        "later than not_before",
    ),
}


@pytest.fixture(autouse=True)
async def nothing_is_stored(stack: Stack) -> AsyncIterator[None]:
    before = (await bulk.stored_batches(stack), await stack.ledger.count_jobs())
    yield
    await bulk.until_discarded(stack)
    assert (await bulk.stored_batches(stack), await stack.ledger.count_jobs()) == before


@pytest.mark.parametrize("fault", BAD_LINES)
async def test_a_bad_line_is_named_with_its_field(stack: Stack, fault: str) -> None:
    bad, field, words = BAD_LINES[fault]
    answer = await send(stack, [line(custom_id="good"), "", bad])
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body["message"] == "1 of 2 lines is wrong; nothing was stored."
    (error,) = body["errors"]
    assert (error["line"], error["field"]) == (3, field)
    assert words in error["message"]


async def test_all_bad_lines_are_named_and_nothing_is_stored(stack: Stack) -> None:
    lines = [line() if number % 2 else "{" for number in range(1, 501)]
    body = (await send(stack, lines)).json()
    assert body["message"] == "250 of 500 lines are wrong; nothing was stored."
    assert [one["line"] for one in body["errors"]] == list(range(2, 501, 2))


async def test_a_custom_id_stands_once_in_a_batch(stack: Stack) -> None:
    lines = [line(custom_id=name) for name in ("a", "b", "a")]
    (error,) = (await send(stack, lines)).json()["errors"]
    assert (error["line"], error["custom_id"], error["field"]) == (3, "a", "custom_id")
    assert error["message"] == "is that of line 1 already"


async def test_an_unknown_model_is_refused_when_strict_is_asked_for(stack: Stack) -> None:
    lines = [line(model="nobody/has-this")]
    (error,) = (await send(stack, lines, strict="true")).json()["errors"]
    assert (error["line"], error["field"]) == (1, "model")
    assert data_of(await send(stack, lines, dry_run="true"))["accepted"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"mode": "best-effort"}, "mode"),
        ({"name": "x" * 201}, "name"),
        ({"webhook": "ftp://example.com"}, "webhook"),
        ({"job_webhook": "http://"}, "job_webhook"),
        ({"priority": "10"}, "priority"),
        ({"start_by": "soon"}, "start_by"),
        ({"dry_run": "perhaps"}, "dry_run"),
        ({"prioritty": "1"}, "prioritty"),
        ({"defaults": "{}"}, "defaults"),
    ],
)
async def test_a_wrong_parameter_is_named(stack: Stack, query: dict[str, Any], field: str) -> None:
    answer = await send(stack, [line()], **query)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text


@pytest.mark.parametrize("body", [b"", b"\n\n  \n", b"\r\n"])
async def test_an_empty_batch_is_refused(stack: Stack, body: bytes) -> None:
    for is_trial in ("false", "true"):
        answer = await send(stack, body, dry_run=is_trial)
        assert (answer.status_code, answer.json()["message"]) == (400, "the batch has no lines")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no lines"),
        ({"model": FLUX}, "inputs"),
        ({"model": FLUX, "inputs": {}}, "inputs"),
        ({"model": FLUX, "inputs": [{}], "defaults": []}, "defaults"),
        ({"model": 5, "inputs": [{}]}, "model"),
        ({"model": FLUX, "inputs": [{}], "lines": []}, "lines"),
        (5, "inputs"),
    ],
)
async def test_a_wrong_document_is_refused(stack: Stack, document: Any, words: str) -> None:
    answer = await stack.http.post(BATCHES, json=document)
    assert answer.status_code == 400, answer.text
    assert words in answer.text


async def test_a_document_that_says_what_the_query_says_is_refused(stack: Stack) -> None:
    document = {"model": FLUX, "inputs": [{"prompt": "a boat"}], "dry_run": False}
    answer = await stack.http.post(BATCHES, json=document, params={"dry_run": "true"})
    assert (answer.status_code, answer.json()["field"]) == (400, "dry_run"), answer.text


@pytest.mark.parametrize("name", ["inputs", "in\\u0070uts", "model"])
async def test_a_document_that_says_something_twice_is_refused(stack: Stack, name: str) -> None:
    document = '{"inputs": [{"prompt": "\\"a\\" boat"}], "model": "%s", "%s": [{"prompt": "a ship"}]}'
    answer = await stack.http.post(
        BATCHES, content=document % (FLUX, name), headers={"content-type": "application/json"}
    )
    said = "inputs" if name != "model" else name
    assert (answer.status_code, answer.json()["message"]) == (400, f"{said}: must be given only once")


async def test_more_lines_than_a_batch_may_have_are_refused(stack: Stack) -> None:
    answer = await send(stack, b"{}\n" * 100_001)
    assert answer.status_code == 400
    assert answer.json()["message"] == "a batch has at most 100,000 lines"


@pytest.mark.parametrize("length", [10 * MB, 25 * MB])
async def test_a_line_over_10_mb_is_a_wrong_line_like_others(stack: Stack, length: int) -> None:
    lines = jsonl([line(), line("x" * length), line(), {"input": 5}])
    answer = await send(stack, lines)
    assert answer.status_code == 400
    assert [(bad["line"], bad["message"]) for bad in answer.json()["errors"]] == [
        (2, "the line is longer than 10 MB"),
        (4, "must be an object"),
    ]
    tried = data_of(await send(stack, lines, mode="partial", dry_run="true"))
    assert (tried["accepted"], [bad["line"] for bad in tried["rejected"]]) == (2, [2, 4])


async def test_a_document_over_10_mb_is_too_large(stack: Stack) -> None:
    answer = await stack.http.post(BATCHES, json=[{"prompt": "x" * 10 * MB}], params={"model": FLUX})
    assert answer.status_code == 413
    assert "JSONL" in answer.json()["message"]


async def test_jsonl_that_is_sent_as_a_document_is_told_what_it_needs(stack: Stack) -> None:
    answer = await send(stack, [line(), line()], headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "JSONL goes under another Content-Type" in answer.json()["message"]


async def test_a_compressed_body_is_refused(stack: Stack) -> None:
    answer = await send(stack, [line()], headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize("levels", [100, 100_000])
async def test_a_document_that_is_nested_too_deep_is_refused(stack: Stack, levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    for document in (
        deep,
        b'{"inputs": [{"prompt": %s}]}' % deep,
        b'{"inputs": [{}], "defaults": %s}' % deep,
    ):
        answer = await stack.http.post(
            BATCHES, content=document, params={"model": FLUX}, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400, answer.text
        assert "nested" in answer.text or "must be a JSON object" in answer.text
