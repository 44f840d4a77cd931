"""The WaveSpeed adapter: the conformance suite, and how WaveSpeed words its answers."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import httpx
import msgspec
import pytest

from orchestrator.clock import Clock
from orchestrator.evidence import ErrorKind, Evidence, Source, Status
from orchestrator.providers.base import Submission, TaskRef
from orchestrator.providers.exchange import MAX_ANSWER_BYTES
from orchestrator.providers.wavespeed import WaveSpeed
from tests.net.raw_server import answering
from tests.providers.conformance import Conformance, assert_refusal, polled, submitted
from tests.providers.dialect import Dialect, as_json, facing, http

ID = "0123456789abcdef0123456789abcdef"
MODEL = "wavespeed-ai/flux-dev"
INPUT = '{ "prompt":"café 😀",  "seed":-1 }'.encode()


def prediction(**fields: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "model": MODEL,
        "status": "created",
        "outputs": [],
        "urls": {"get": f"https://api.wavespeed.ai/api/v3/predictions/{ID}/result"},
        "has_nsfw_contents": [],
        "created_at": "2026-01-02T03:04:05.678Z",
        "error": "",
        "timings": {"inference": 0},
    } | fields


def envelope(data: Any, *, code: int = 200, message: str = "success") -> bytes:
    return as_json({"code": code, "message": message, "data": data})


class WaveSpeedDialect:
    submission = Submission(model=MODEL, api_version="v3", input=INPUT, callback_url=None)
    task = TaskRef(provider_id=ID, model=MODEL, api_version="v3")

    def open(self, client: httpx.AsyncClient, *, deadline_s: float = 20.0) -> WaveSpeed:
        return WaveSpeed(client, clock=Clock(), deadline_s=deadline_s)

    def accepted(self) -> bytes:
        return envelope(prediction())

    def running(self) -> bytes:
        return envelope(prediction(status="processing"))

    def completed(self, outputs: bytes) -> bytes:
        return envelope(prediction(status="completed", outputs="HERE")).replace(b'"HERE"', outputs)

    def failed(self, *, is_input_wrong: bool) -> bytes:
        return envelope(prediction(status="failed", code=1401 if is_input_wrong else 5000, error="no luck"))

    def refusal(self, status: int, message: str) -> bytes:
        return as_json({"code": status, "message": message})


DIALECT = WaveSpeedDialect()


class TestConformance(Conformance):
    @pytest.fixture
    def dialect(self) -> Dialect:
        return DIALECT


async def submit_answered(status: int, body: bytes) -> Evidence:
    evidence, server = await submitted(DIALECT, answering(http(status, body)))
    assert len(server.requests) == 1
    return evidence


async def poll_answered(**fields: Any) -> Evidence:
    evidence, _ = await polled(DIALECT, answering(http(200, envelope(prediction(**fields)))))
    return evidence


async def test_a_submission_is_one_post_with_the_callback_url_quoted_in_the_query() -> None:
    url = "https://me.test/callbacks/wavespeed/j1/2/tok-en_?a=1&b=ü"
    submission = msgspec.structs.replace(DIALECT.submission, callback_url=url, api_version="v2")
    async with facing(answering(http(200, DIALECT.accepted()))) as (client, server):
        await DIALECT.open(client).submit(submission)
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert line == (
        b"POST /api/v2/wavespeed-ai/flux-dev?webhook=https%3A%2F%2Fme.test%2Fcallbacks%2Fwavespeed%2Fj1%2F2"
        b"%2Ftok-en_%3Fa%3D1%26b%3D%C3%BC HTTP/1.1"
    )
    assert body == INPUT
    names = {header.partition(b":")[0].lower(): header.partition(b":")[2].strip() for header in headers}
    assert names[b"content-type"] == b"application/json"
    assert names[b"content-length"] == str(len(INPUT)).encode()
    assert names[b"authorization"].startswith(b"Bearer ")


@pytest.mark.parametrize(
    "model",
    [
        "predictions/delete",
        "webhook/secret",
        "media/uploads",
        "model/price",
        "a/../predictions/delete",
        "balance",
        "a//b",
        "/a/b",
        "a/b?x=1",
        "a/b#c",
        "a/%2e%2e/b",
        "a/b\n",
        "_a/b",
        "a/b/c/d/e",
        "",
    ],
)
async def test_a_model_that_would_be_another_endpoint_is_never_posted(model: str) -> None:
    submission = msgspec.structs.replace(DIALECT.submission, model=model)
    async with facing(answering(http(200, DIALECT.accepted()))) as (client, server):
        evidence = await DIALECT.open(client).submit(submission)
    assert_refusal(evidence, Status.REFUSED, ErrorKind.REJECTED)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (400, Status.REFUSED, ErrorKind.UNCLEAR),
        (409, Status.REFUSED, ErrorKind.UNCLEAR),
        (404, Status.REFUSED, ErrorKind.REJECTED),
        (422, Status.REFUSED, ErrorKind.REJECTED),
        (402, Status.REFUSED, ErrorKind.ACCOUNT),
        (401, Status.REFUSED, ErrorKind.ACCOUNT),
        (403, Status.REFUSED, ErrorKind.ACCOUNT),
        (429, Status.REFUSED, ErrorKind.THROTTLED),
        (503, Status.REFUSED, ErrorKind.UNAVAILABLE),
        (500, Status.UNKNOWN, ErrorKind.LOST),
        (1400, Status.REFUSED, ErrorKind.REJECTED),
        (5000, Status.UNKNOWN, ErrorKind.LOST),
        (200, Status.UNKNOWN, ErrorKind.LOST),
    ],
)
@pytest.mark.parametrize("data", [b"", b',"data":null', b',"data":{}', b',"data":{"id":""}', b',"data":[]'])
async def test_http_200_without_an_id_is_judged_by_the_envelopes_code(
    code: int, status: Status, kind: ErrorKind, data: bytes
) -> None:
    evidence = await submit_answered(200, b'{"code":%d,"message":"hm"%b}' % (code, data))
    assert_refusal(evidence, status, kind)
    assert evidence.error is not None
    assert evidence.error.code == (code if code >= 1_000 else 0)  # others are no prediction's


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Insufficient credits. Please top up your account.", ErrorKind.ACCOUNT),
        ("insufficient balance: 0.05 required", ErrorKind.ACCOUNT),
        ("Your account has been suspended", ErrorKind.ACCOUNT),
        ("Invalid API key", ErrorKind.ACCOUNT),
        ("invalid parameter: size", ErrorKind.REJECTED),
        ("Missing required field 'image'", ErrorKind.REJECTED),
        ("prompt is too long", ErrorKind.REJECTED),
        ("num_images must be at most 4", ErrorKind.REJECTED),
        ("invalid parameter lora: 'payment terminal' not found", ErrorKind.REJECTED),
        ("invalid parameter lora: 'a' payment 'b' not found", ErrorKind.REJECTED),
        ('No lora "it\'s my account"', ErrorKind.UNCLEAR),
        ("No lora `top up`", ErrorKind.UNCLEAR),
        ("No lora \u201cbilling\u201d", ErrorKind.UNCLEAR),
        ("No lora 'billing that is cut short", ErrorKind.UNCLEAR),
        ("Your account's balance isn't enough", ErrorKind.ACCOUNT),
        ("Insufficient credits for 'wavespeed-ai/flux-dev'", ErrorKind.ACCOUNT),
        ("Bad Request", ErrorKind.UNCLEAR),
        ("", ErrorKind.UNCLEAR),
    ],
)
async def test_a_code_400_under_http_200_is_told_apart_by_its_words(message: str, kind: ErrorKind) -> None:
    evidence = await submit_answered(200, as_json({"code": 400, "message": message}))
    assert_refusal(evidence, Status.REFUSED, kind)
    assert evidence.error is not None
    assert message in evidence.error.message


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Insufficient credits. Please top up your account.", ErrorKind.ACCOUNT),
        (400, "insufficient account balance", ErrorKind.ACCOUNT),
        (400, "Your balance is not enough", ErrorKind.ACCOUNT),
        (400, "insufficient_funds", ErrorKind.ACCOUNT),
        (400, "prompt 'insufficient credits' is too short", ErrorKind.REJECTED),
        (400, "the image account.png has no white balance", ErrorKind.REJECTED),
        (400, "the webhook is forbidden", ErrorKind.REJECTED),
        (422, "Insufficient credits", ErrorKind.REJECTED),
    ],
)
async def test_a_true_http_400_is_the_accounts_only_if_it_speaks_of_credit(
    status: int, message: str, kind: ErrorKind
) -> None:
    evidence = await submit_answered(status, DIALECT.refusal(status, message))
    assert_refusal(evidence, Status.REFUSED, kind)
    assert evidence.error is not None
    assert message in evidence.error.message


async def test_the_accounts_trouble_says_how_to_mend_it() -> None:
    key = await submit_answered(401, DIALECT.refusal(401, "invalid API key"))
    credit = await submit_answered(200, as_json({"code": 400, "message": "Insufficient credits"}))
    assert key.error is not None
    assert credit.error is not None
    assert "WAVESPEED_API_KEY" in key.error.message
    assert "top the account up" in credit.error.message
    assert "Insufficient credits" in credit.error.message


async def test_only_a_503_in_the_own_envelope_without_an_id_is_provably_no_task() -> None:
    own = await submit_answered(503, DIALECT.refusal(503, "unavailable"))
    with_id = await submit_answered(503, envelope(prediction(), code=503))
    strange = await submit_answered(503, b'{"error":"upstream"}')
    assert_refusal(own, Status.REFUSED, ErrorKind.UNAVAILABLE)
    assert_refusal(with_id, Status.UNKNOWN, ErrorKind.LOST)
    assert_refusal(strange, Status.UNKNOWN, ErrorKind.LOST)


async def test_a_fast_task_may_end_in_the_answer_to_its_post() -> None:
    done = await submit_answered(200, DIALECT.completed(b'["a"]'))
    failed = await submit_answered(200, DIALECT.failed(is_input_wrong=True))
    assert (done.source, done.status) == (Source.ANSWER, Status.COMPLETED)
    assert (failed.source, failed.status) == (Source.ANSWER, Status.FAILED)
    assert done.provider_id == failed.provider_id == ID


async def test_a_sync_time_out_is_still_an_accepted_task() -> None:
    body = envelope(prediction(status="processing", code=5004, error="Sync mode timed out"))
    evidence = await submit_answered(200, body)
    assert evidence.status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("failed", 1200, ErrorKind.REJECTED),
        ("failed", "1405", ErrorKind.REJECTED),
        ("failed", 5004, ErrorKind.TASK_FAILED),
        ("failed", None, ErrorKind.TASK_FAILED),
        ("failed", 77, ErrorKind.TASK_FAILED),
        ("cancelled", 0, ErrorKind.REJECTED),
        ("cancelled", 5004, ErrorKind.REJECTED),
        ("timeout", 0, ErrorKind.TASK_FAILED),
        ("deleted", 0, ErrorKind.REJECTED),
    ],
)
async def test_failures_are_classed_by_their_code(status: str, code: Any, expected: ErrorKind) -> None:
    evidence = await poll_answered(status=status, code=code, error="no luck")
    assert_refusal(evidence, Status.FAILED, expected)
    assert evidence.error is not None
    assert evidence.error.message == "no luck"


@pytest.mark.parametrize("status", ["cancelled", "deleted"])
async def test_a_task_that_somebody_ended_has_a_code_that_blames_no_parameter(status: str) -> None:
    evidence = await poll_answered(status=status, code=0)
    assert evidence.error is not None
    assert evidence.error.code == 1403


async def test_a_failure_without_words_still_has_a_reason() -> None:
    evidence = await poll_answered(status="failed", error=None)
    assert evidence.error is not None
    assert evidence.error.message == "The task ended as failed without saying why."


@pytest.mark.parametrize("status", ["created", "processing", "queued", "COMPLETED", ""])
async def test_a_status_that_is_not_known_to_be_final_is_not(status: str) -> None:
    assert (await poll_answered(status=status)).status is Status.ACCEPTED


async def test_unimportant_fields_of_the_wrong_type_do_not_spoil_a_result() -> None:
    evidence = await poll_answered(
        status="completed",
        outputs=["a", {"url": "b"}],
        has_nsfw_contents=None,
        timings="fast",
        executionTime="812",
        error={"none": True},
        created_at=7,
        code=[],
    )
    assert evidence.status is Status.COMPLETED
    assert evidence.result is not None
    assert evidence.result.outputs == ["a", {"url": "b"}]
    assert evidence.result.has_nsfw_contents == []
    assert evidence.result.inference_ms == 812


async def test_an_answer_about_another_task_says_nothing_about_this_one() -> None:
    assert (await poll_answered(id="f" * 32, status="completed")).status is Status.SILENT


async def test_a_404_in_the_envelope_is_gone_too() -> None:
    evidence, _ = await polled(DIALECT, answering(http(200, as_json({"code": 404, "message": "no"}))))
    assert evidence.status is Status.GONE


@pytest.mark.parametrize("task_id", ["../balance", "", "a/b", "a?b"])
async def test_an_id_that_is_none_is_never_put_into_a_path(task_id: str) -> None:
    async with facing(answering(http(200, DIALECT.running()))) as (client, server):
        evidence = await DIALECT.open(client).poll(
            TaskRef(provider_id=task_id, model=MODEL, api_version="v3")
        )
    assert evidence.status is Status.GONE
    assert server.connections == 0


async def test_a_callback_is_the_bare_prediction() -> None:
    async with httpx.AsyncClient() as client:
        adapter = DIALECT.open(client)
        evidence = adapter.parse_callback(as_json(prediction(status="completed", outputs=["a"])))
        assert adapter.parse_callback(envelope(prediction(status="completed"))) is None
    assert evidence is not None
    assert (evidence.source, evidence.status, evidence.provider_id) == (
        Source.CALLBACK,
        Status.COMPLETED,
        ID,
    )


async def test_an_excerpt_does_not_show_a_callback_url_or_a_signing_secret() -> None:
    url = "https://me.test/callbacks/wavespeed/j1/2/tok-en"
    evidence = await poll_answered(
        webhook=url, quoted=url.replace("/", "%2F"), secret="whsec_abc", status="processing"
    )
    assert "tok-en" not in evidence.excerpt
    assert "abc" not in evidence.excerpt.replace(ID, "")
    assert "processing" in evidence.excerpt


async def test_an_answer_beyond_the_cap_ends_a_polled_task_and_leaves_a_submission_in_doubt() -> None:
    start, end = DIALECT.completed(b'["HERE"]').split(b"HERE")
    bomb = zlib.compress(start + b" " * MAX_ANSWER_BYTES + end)
    behave = answering(http(200, bomb, "Content-Encoding: deflate"))
    asked, _ = await polled(DIALECT, behave)
    posted, _ = await submitted(DIALECT, behave)
    assert_refusal(asked, Status.FAILED, ErrorKind.REJECTED)
    assert_refusal(posted, Status.UNKNOWN, ErrorKind.LOST)


@pytest.mark.parametrize(
    "headers", [["Content-Encoding: gzip, gzip"], ["Content-Encoding: gzip", "content-encoding: gzip"]]
)
async def test_an_answer_in_more_than_one_coding_is_not_decoded(headers: list[str]) -> None:
    packed = gzip.compress(gzip.compress(DIALECT.accepted()))
    evidence, _ = await submitted(DIALECT, answering(http(200, packed, *headers)))
    assert_refusal(evidence, Status.UNKNOWN, ErrorKind.LOST)
    assert evidence.error is not None
    assert "more than one content coding" in evidence.error.message


async def test_an_answer_in_one_coding_is_decoded() -> None:
    packed = gzip.compress(DIALECT.accepted())
    evidence, _ = await submitted(DIALECT, answering(http(200, packed, "Content-Encoding: gzip")))
    assert evidence.status is Status.ACCEPTED
