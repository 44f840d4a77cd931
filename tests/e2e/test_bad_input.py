"""What is wrong is refused with the reason and the field, before anything is stored or paid."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.stack import FLUX, Stack, data_of

PATH = f"/api/v3/{FLUX}"
MEGABYTE = 2**20


@pytest.fixture(autouse=True)
async def _nothing_is_stored(stack: Stack) -> AsyncIterator[None]:
    """Whatever a test of this file sends leaves no job and no task."""
    jobs, tasks = await stack.ledger.count_jobs(), len(await stack.tasks())
    yield
    assert await stack.ledger.count_jobs() == jobs
    assert len(await stack.tasks()) == tasks


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x", "size": "big"}, "size"),
        ({"prompt": "x", "size": "64*64"}, "size"),
        ({"prompt": "x", "size": "4096*1024"}, "size"),
        ({"prompt": "x", "size": 1024}, "size"),
        ({"prompt": "x", "num_images": 5}, "num_images"),
        ({"prompt": "x", "num_images": "2"}, "num_images"),
        ({"prompt": "x", "num_images": True}, "num_images"),
        ({"prompt": "x", "strength": 1.5}, "strength"),
        ({"prompt": "x", "guidance_scale": 0}, "guidance_scale"),
        ({"prompt": "x", "output_format": "gif"}, "output_format"),
        ({"prompt": "x", "enable_sync_mode": "yes"}, "enable_sync_mode"),
        ({"prompt": "x", "enable_base64_output": 1}, "enable_base64_output"),
        ({"prompt": "x", "seed": 1.5}, "seed"),
        ({"prompt": "x", "webhook_url": 5}, "webhook_url"),
        ({"prompt": "x", "webhook_url": "http://127.0.0.1/hook"}, "webhook_url"),
        ({"prompt": "x", "webhook": "not a url"}, "webhook"),
        ({"prompt": "x", "webhook": "http://127.0.0.1/hook"}, "webhook"),
        ({"prompt": "x", "webhook": "https://169.254.169.254/latest"}, "webhook"),
        ({"prompt": "x", "webhook": "https://user@example.com/"}, "webhook"),
        ({"prompt": "x", "webhook": "ftp://example.com/"}, "webhook"),
        ({"prompt": "x", "webhook": "https://example.com:8443/"}, "webhook"),
        ({"prompt": "x", "webhook": "https://a.example/", "webhook_url": "https://b.example/"}, "webhook"),
    ],
)
async def test_a_wrong_field_is_named(stack: Stack, inputs: dict[str, Any], field: str) -> None:
    answer = await stack.http.post(PATH, json=inputs)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text


async def test_a_wrong_webhook_in_the_query_is_refused(stack: Stack) -> None:
    answer = await stack.submit(params={"webhook": "javascript:alert(1)"})
    assert (answer.status_code, answer.json()["field"]) == (400, "webhook")


@pytest.mark.parametrize("field", ["webhook_url", "webhook"])
async def test_a_wrong_webhook_is_refused_also_beside_a_good_one(stack: Stack, field: str) -> None:
    inputs = {"prompt": "x", field: "http://127.0.0.1/hook"}
    answer = await stack.http.post(PATH, json=inputs, params={"webhook": "https://example.com/hook"})
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_webhook_is_said_once(stack: Stack) -> None:
    answer = await stack.http.post(
        f"{PATH}?webhook=https://a.example/&webhook=https://b.example/", json={"prompt": "x"}
    )
    assert (answer.status_code, answer.json()["field"]) == (400, "webhook"), answer.text


@pytest.mark.parametrize("listing", ["jobs", "batches", "actions", "deliveries", "dead-letters"])
async def test_a_page_behind_nothing_is_refused(stack: Stack, listing: str) -> None:
    answer = await stack.http.get(f"/api/v3/{listing}", params={"before": "zz"})
    assert (answer.status_code, answer.json()["field"]) == (400, "before"), answer.text


async def test_other_wrong_words_are_named(stack: Stack) -> None:
    history = await stack.http.post("/api/v3/predictions", json={"status": "bogus"})
    assert (history.status_code, history.json()["field"]) == (400, "status")
    action = {"verb": "redrive", "filter": {"since": "x"}, "dry_run": True}
    filtered = await stack.http.post("/api/v3/actions", json=action)
    assert (filtered.status_code, filtered.json()["field"]) == (400, "filter.since")
    lines = b'{"input":{"prompt":"x","enable_sync_mode":"yes"}}'
    checked = await stack.http.post(
        "/api/v3/batches", params={"model": "wavespeed-ai/flux-dev", "dry_run": "true"}, content=lines
    )
    (rejected,) = checked.json()["data"]["rejected"]
    assert rejected["field"] == "enable_sync_mode"


async def test_an_upload_is_taken_as_it_is_or_not_at_all(stack: Stack) -> None:
    path, body = "/api/v3/media/upload/binary", b'--x\r\nContent-Disposition: form-data; name="file"; '
    body += b'filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--x--\r\n'
    kind = {"content-type": "Multipart/Form-Data; boundary=x"}
    assert (await stack.http.post(path, content=body, headers=kind)).status_code == 200
    encoded = await stack.http.post(path, content=body, headers=kind | {"content-encoding": "gzip"})
    assert encoded.status_code == 415


DEEP = b'{"prompt":"x","a":' + b"[" * 70 + b"]" * 70 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"prompt":"x"',
        b'["x"]',
        b'"x"',
        b"null",
        DEEP,
        b'{"prompt":"x","strength":NaN}',
        b'{"prompt":"x","strength":Infinity}',
        rb'{"prompt":"a\u0000b"}',
        rb'{"prompt":"\ud800"}',
        b'{"prompt":"\xff"}',
        b'{"prompt":"x","seed":99999999999999999999}',
    ],
    ids=lambda body: body[:30].decode(errors="replace"),
)
async def test_a_body_that_is_no_strict_json_object_is_refused(stack: Stack, body: bytes) -> None:
    answer = await stack.http.post(PATH, content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == 400


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_of_eleven_megabytes_is_too_large(stack: Stack, is_chunked: bool) -> None:
    start, filler = b'{"prompt":"', b"x" * MEGABYTE

    async def chunks() -> AsyncIterator[bytes]:
        yield start
        for _ in range(11):
            yield filler

    content = chunks() if is_chunked else start + filler * 11
    assert (await stack.http.post(PATH, content=content)).status_code == 413


async def test_a_compressed_body_is_unsupported(stack: Stack) -> None:
    answer = await stack.http.post(PATH, content=b"{}", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer wrong", "Bearer", "Basic Zm9vOmJhcg==", "Bearer orc_ZZYSc4ZODCoFJcFRVZKmr23RcnrVVIZm00qH03"],
)
async def test_an_unknown_key_is_401_everywhere(stack: Stack, authorization: str) -> None:
    for method, path in (
        ("POST", PATH),
        ("GET", f"/api/v3/predictions/{'0' * 32}"),
        ("POST", "/api/v3/predictions"),
        ("POST", "/api/v3/predictions/delete"),
        ("GET", "/api/v3/models"),
        ("GET", "/api/v3/balance"),
        ("GET", "/api/v3/webhook/secret"),
        ("POST", "/api/v3/media/uploads"),
        ("POST", "/api/v3/media/upload/binary"),
        ("GET", "/api/v3/jobs"),
        ("GET", "/api/v3/dead-letters"),
        ("GET", "/api/v3/lanes"),
    ):
        answer = await stack.http.request(
            method, path, headers={"authorization": authorization}, content=b"{}"
        )
        assert answer.status_code == 401, f"{path}: {answer.text}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/api/v3/predictions/{'0' * 32}/result", 404),
        ("GET", "/api/v3/predictions/no-such-id", 404),
        ("GET", f"/api/v3/jobs/{'0' * 32}", 404),
        ("POST", f"/api/v3/jobs/{'0' * 32}/cancel", 404),
        ("POST", f"/api/v3/jobs/{'0' * 32}/redrive", 404),
        ("POST", f"/api/v3/jobs/{'0' * 32}/check", 404),
        ("POST", "/api/v3/onesegment", 404),
        ("POST", "/api/v3/a/b/c/d/e", 404),
        ("POST", "/api/v3/a b/c", 404),
        ("GET", "/nothing/here", 404),
        ("GET", "/api/v3/nothing-here", 404),
        ("PUT", PATH, 405),
        ("DELETE", "/api/v3/predictions", 405),
        ("POST", "/api/v3/balance", 405),
        ("POST", "/api/v3/webhook/secret", 405),
        ("POST", f"/api/v3/jobs/{'0' * 32}", 405),
        ("POST", f"/api/v3/predictions/{'0' * 32}/result", 405),
    ],
)
async def test_what_is_not_there_is_404_and_another_method_405(
    stack: Stack, method: str, path: str, status: int
) -> None:
    answer = await stack.http.request(method, path, content=b"{}" if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (status, status)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("predictions", {"page": 0}, "page"),
        ("predictions", {"page_size": 101}, "page_size"),
        ("predictions", {"status": 5}, "status"),
        ("predictions", {"created_after": "yesterday"}, "created_after"),
        ("predictions", {"include_inputs": "yes"}, "include_inputs"),
        ("predictions/delete", {}, "ids"),
        ("predictions/delete", {"ids": [1]}, "ids"),
    ],
)
async def test_a_wrong_question_names_its_field(
    stack: Stack, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await stack.http.post(f"/api/v3/{path}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=%C2%B2", f"limit={'1' * 5_000}"]
)
async def test_a_wrong_number_in_a_query_is_refused(stack: Stack, query: str) -> None:
    answer = await stack.http.get(f"/api/v3/jobs?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, query.partition("=")[0])


async def test_an_error_is_an_envelope_with_a_message(stack: Stack) -> None:
    answer = await stack.http.post(PATH, json={})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content) == {
        "code": 400,
        "message": answer.json()["message"],
        "field": "prompt",
    }
    assert "prompt" in answer.json()["message"]


async def test_a_question_about_nothing_is_an_empty_page(stack: Stack) -> None:
    empty = data_of(await stack.http.post("/api/v3/predictions", json={"model": "no/such"}))
    assert empty == {"page": 1, "items": []}


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "jobs?state=failed", "state"),
        ("GET", "batches?status=open", "status"),
        ("GET", "deliveries?tenant=x", "tenant"),
        ("GET", "dead-letters?since=2020-01-01", "since"),
        ("POST", "jobs/none/cancel?force=true", "force"),
    ],
)
async def test_a_parameter_that_is_not_known_is_refused_by_name(
    stack: Stack, method: str, path: str, name: str
) -> None:
    answer = await stack.http.request(method, f"/api/v3/{path}")
    assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (400, name)


async def test_what_wavespeeds_clients_say_besides_is_no_mistake(stack: Stack) -> None:
    assert (await stack.http.get("/api/v3/balance?_=1")).status_code == 200
