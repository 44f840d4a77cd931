"""What every adapter must do, whatever its provider does: subclass `Conformance` and give it a `dialect`.

The provider is a socket that answers what a test says, in bytes, and counts what it was sent.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestrator.evidence import Error, ErrorKind, Evidence, Source, Status
from orchestrator.net.clients import provider_client
from orchestrator.providers.base import History, Provider
from orchestrator.signing import Verdict
from tests.net.raw_server import Behaviour, Peer, RawServer, answering, closed_port, never_answer
from tests.providers.dialect import HTML, KEY, Dialect, facing, http

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def all_kinds(of: type[Exception]) -> list[type[Exception]]:
    return [of, *(kind for child in of.__subclasses__() for kind in all_kinds(child))]


TRANSPORT_ERRORS = [*all_kinds(httpx.TransportError), httpx.DecodingError, httpx.TooManyRedirects]


async def drop_at_once(_: Peer) -> None:
    """Closes without reading a byte."""


async def drop_after_reading(peer: Peer) -> None:
    await peer.read_request()


async def reset_after_reading(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def answer_half(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(http(200, b'{"code":200,"data":{"id":"abc"}}')[:-9])


async def begin_to_answer(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(http(200, b"never sent")[:-10])
    await peer.hold()


async def answer_no_http(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"220 mail.example.com ESMTP\r\n\r\n")


def redirect(status: int) -> Behaviour:
    return answering(http(status, b"", "Location: /elsewhere"))


def page(status: int) -> Behaviour:
    return answering(http(status, HTML, content_type="text/html"))


IN_DOUBT: dict[str, Behaviour] = {
    "dropped unread": drop_at_once,
    "dropped": drop_after_reading,
    "reset": reset_after_reading,
    "cut": answer_half,
    "no HTTP": answer_no_http,
    "408": answering(http(408, b"", "Connection: close")),
    "408 page": page(408),
    "425": answering(http(425, b"")),
    "500 page": page(500),
    "502 page": page(502),
    "503 page": page(503),
    "504 page": page(504),
    "301": redirect(301),
    "307": redirect(307),
    "308": redirect(308),
    "200 page": page(200),
    "200 empty": answering(http(200, b"")),
    "204": answering(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "200 null": answering(http(200, b"null")),
    "200 array": answering(http(200, b"[]")),
    "200 text": answering(http(200, b'"ok"')),
    "200 empty object": answering(http(200, b"{}")),
    "200 too deep": answering(http(200, b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}")),
    "200 not UTF-8": answering(http(200, b'{"data":{"id":"\xff"}}')),
    "200 lying about gzip": answering(http(200, b"{}", "Content-Encoding: gzip")),
}


class Conformance:
    """The suite; its only need is the fixture `dialect`."""

    # Submitting

    async def test_an_accepted_task_is_named(self, dialect: Dialect) -> None:
        evidence, _ = await submitted(dialect, answering(http(200, dialect.accepted())))
        assert (evidence.source, evidence.status) == (Source.ANSWER, Status.ACCEPTED)
        assert evidence.provider_id == dialect.task.provider_id

    async def test_the_input_goes_out_byte_for_byte_in_one_post(self, dialect: Dialect) -> None:
        _, server = await submitted(dialect, answering(http(200, dialect.accepted())))
        (request,) = server.requests
        assert request.startswith(b"POST ")
        assert request.partition(b"\r\n\r\n")[2] == dialect.submission.input

    @pytest.mark.parametrize("name", IN_DOUBT)
    async def test_an_answer_that_tells_nothing_is_in_doubt_and_never_repeated(
        self, dialect: Dialect, name: str
    ) -> None:
        evidence, server = await submitted(dialect, IN_DOUBT[name])
        assert_refusal(evidence, Status.UNKNOWN, ErrorKind.LOST)
        assert server.connections == 1
        assert len(server.requests) <= 1

    @pytest.mark.parametrize("behave", [never_answer, begin_to_answer])
    async def test_the_deadline_holds_for_the_whole_and_leaves_doubt(
        self, dialect: Dialect, behave: Behaviour
    ) -> None:
        evidence, server = await submitted(dialect, behave, deadline_s=0.2)
        assert_refusal(evidence, Status.UNKNOWN, ErrorKind.LOST)
        assert len(server.requests) == 1

    async def test_what_nobody_listened_to_was_not_sent(self, dialect: Dialect) -> None:
        async with provider_client(base_url=f"http://127.0.0.1:{closed_port()}") as client:
            evidence = await dialect.open(client).submit(dialect.submission)
        assert_refusal(evidence, Status.REFUSED, ErrorKind.UNAVAILABLE)

    @pytest.mark.parametrize("error", TRANSPORT_ERRORS)
    async def test_no_transport_error_escapes(
        self, dialect: Dialect, error: type[httpx.RequestError]
    ) -> None:
        sent: list[httpx.Request] = []

        def fail(request: httpx.Request) -> httpx.Response:
            sent.append(request)
            raise error("something broke")

        async with httpx.AsyncClient(
            transport=httpx.MockTransport(fail), base_url="http://provider.test"
        ) as client:
            adapter = dialect.open(client)
            evidence = await adapter.submit(dialect.submission)
            assert len(sent) == 1
            assert (await adapter.poll(dialect.task)).status is Status.SILENT
            assert isinstance(await look_up(adapter, dialect), Error)
            assert (await adapter.account()).trouble
            assert await adapter.verify([], b"{}", now=0) is Verdict.UNSIGNED
        if issubclass(error, NOT_SENT):
            assert_refusal(evidence, Status.REFUSED, ErrorKind.UNAVAILABLE)
        elif error not in (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            assert_refusal(evidence, Status.UNKNOWN, ErrorKind.LOST)

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            (None, None),
            ("Retry-After: 7", 7),
            ("Retry-After: 0", 0),
            ("Retry-After: -5", 0),
            ("Retry-After: 99999999999999", 3600),
            ("Retry-After: inf", 3600),
            ("Retry-After: nan", None),
            ("Retry-After: Fri, 01 Jan 2100 00:00:00 GMT", 3600),
            ("Retry-After: Sat, 01 Jan 2000 00:00:00 GMT", 0),
            ("Retry-After: soon", None),
        ],
    )
    async def test_a_429_is_throttled_for_as_long_as_it_says_within_reason(
        self, dialect: Dialect, header: str | None, seconds: float | None
    ) -> None:
        answer = http(429, dialect.refusal(429, "too fast"), *([header] if header else []))
        evidence, server = await submitted(dialect, answering(answer))
        assert_refusal(evidence, Status.REFUSED, ErrorKind.THROTTLED)
        assert evidence.error is not None
        assert evidence.error.retry_after_s == seconds
        assert len(server.requests) == 1

    async def test_a_429_of_a_gateway_is_throttled_too(self, dialect: Dialect) -> None:
        evidence, _ = await submitted(dialect, page(429))
        assert_refusal(evidence, Status.REFUSED, ErrorKind.THROTTLED)

    @pytest.mark.parametrize("status", [401, 402, 403])
    async def test_a_credential_that_does_not_work_is_the_accounts_trouble(
        self, dialect: Dialect, status: int
    ) -> None:
        evidence, server = await submitted(dialect, answering(http(status, dialect.refusal(status, "no"))))
        assert_refusal(evidence, Status.REFUSED, ErrorKind.ACCOUNT)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422])
    async def test_any_other_4xx_rejects_with_the_providers_words(
        self, dialect: Dialect, status: int
    ) -> None:
        evidence, _ = await submitted(
            dialect, answering(http(status, dialect.refusal(status, "size is too small")))
        )
        assert_refusal(evidence, Status.REFUSED, ErrorKind.REJECTED)
        assert evidence.error is not None
        assert "size is too small" in evidence.error.message
        assert evidence.error.http_status == status

    async def test_neither_words_nor_excerpt_hold_the_key_or_grow_without_bound(
        self, dialect: Dialect
    ) -> None:
        message = f"bad key {KEY}\0 " + "x" * 100_000
        evidence, _ = await submitted(dialect, answering(http(400, dialect.refusal(400, message))))
        assert evidence.error is not None
        for text in (evidence.error.message, evidence.excerpt):
            assert KEY not in text
            assert "\0" not in text
            assert 0 < len(text) <= 1_000

    # Polling

    async def test_a_running_task_is_accepted(self, dialect: Dialect) -> None:
        evidence, _ = await polled(dialect, answering(http(200, dialect.running())))
        assert (evidence.source, evidence.status) == (Source.POLL, Status.ACCEPTED)

    async def test_a_poll_brings_the_outputs(self, dialect: Dialect) -> None:
        evidence, _ = await polled(
            dialect, answering(http(200, dialect.completed(b'["https://x.test/1.png"]')))
        )
        assert evidence.status is Status.COMPLETED
        assert evidence.provider_id == dialect.task.provider_id
        assert evidence.result is not None
        assert evidence.result.outputs == ["https://x.test/1.png"]

    @pytest.mark.parametrize(("outputs", "expected"), [(b"[]", []), (b"null", []), (b'[""]', [""])])
    async def test_completed_stays_completed_without_outputs(
        self, dialect: Dialect, outputs: bytes, expected: list[str]
    ) -> None:
        evidence, _ = await polled(dialect, answering(http(200, dialect.completed(outputs))))
        assert evidence.status is Status.COMPLETED
        assert evidence.result is not None
        assert evidence.result.outputs == expected

    @pytest.mark.parametrize(
        ("outputs", "expected"),
        [
            (b'"https://x.test/1.png"', ["https://x.test/1.png"]),
            (b'{"url":"x"}', [{"url": "x"}]),
            (b'""', [""]),
            (b"12", [12]),
            (b'[["a"],1.5,null,true]', [["a"], 1.5, None, True]),
        ],
    )
    async def test_outputs_of_any_shape_are_kept(
        self, dialect: Dialect, outputs: bytes, expected: list[Any]
    ) -> None:
        evidence, _ = await polled(dialect, answering(http(200, dialect.completed(outputs))))
        assert evidence.status is Status.COMPLETED
        assert evidence.result is not None
        assert evidence.result.outputs == expected

    @pytest.mark.parametrize(
        "outputs",
        [
            rb'["a\u0000b"]',
            rb'"a\u0000b"',
            rb'["\ud800"]',
            b'["\xff"]',
            b"[NaN]",
            b'[{"n":99999999999999999999999}]',
            b'[{"deep":' + b"[" * 70 + b"]" * 70 + b"}]",
            b'[{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        ],
    )
    async def test_outputs_that_nobody_can_store_end_the_task_with_the_reason(
        self, dialect: Dialect, outputs: bytes
    ) -> None:
        evidence, _ = await polled(dialect, answering(http(200, dialect.completed(outputs))))
        assert_refusal(evidence, Status.FAILED, ErrorKind.REJECTED)
        assert evidence.error is not None
        assert "could not be read" in evidence.error.message

    @pytest.mark.parametrize(
        ("is_input_wrong", "kind"), [(True, ErrorKind.REJECTED), (False, ErrorKind.TASK_FAILED)]
    )
    async def test_a_failed_task_is_tried_again_only_if_the_input_is_not_to_blame(
        self, dialect: Dialect, is_input_wrong: bool, kind: ErrorKind
    ) -> None:
        body = dialect.failed(is_input_wrong=is_input_wrong)
        evidence, _ = await polled(dialect, answering(http(200, body)))
        assert_refusal(evidence, Status.FAILED, kind)

    async def test_an_unknown_task_is_gone_and_not_failed(self, dialect: Dialect) -> None:
        evidence, _ = await polled(dialect, answering(http(404, dialect.refusal(404, "not found"))))
        assert evidence.status is Status.GONE

    @pytest.mark.parametrize("name", sorted(IN_DOUBT.keys() - {"200 too deep"}))
    async def test_a_poll_without_an_answer_says_nothing_about_the_task(
        self, dialect: Dialect, name: str
    ) -> None:
        evidence, _ = await polled(dialect, IN_DOUBT[name])
        assert evidence.status is Status.SILENT

    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
    async def test_a_refused_poll_says_nothing_about_the_task(self, dialect: Dialect, status: int) -> None:
        evidence, _ = await polled(dialect, answering(http(status, dialect.refusal(status, "no"))))
        assert evidence.status is Status.SILENT

    # Callbacks, history, account

    @pytest.mark.parametrize(
        "body", [b"", b"null", b"[]", b"{}", b"\xff", b'{"id":3}', b"[" * 100_000, b'{"id":"../x"}']
    )
    async def test_a_callback_that_cannot_be_read_is_none_of_ours(
        self, dialect: Dialect, body: bytes
    ) -> None:
        async with httpx.AsyncClient() as client:
            assert dialect.open(client).parse_callback(body) is None

    @pytest.mark.parametrize("name", IN_DOUBT)
    async def test_a_history_that_cannot_be_read_is_an_error(self, dialect: Dialect, name: str) -> None:
        found = await looked_up(dialect, IN_DOUBT[name])
        assert isinstance(found, Error)
        assert found.kind is ErrorKind.UNAVAILABLE

    async def test_a_throttled_history_says_for_how_long(self, dialect: Dialect) -> None:
        reply = http(429, dialect.refusal(429, "slow down"), "Retry-After: 120")
        found = await looked_up(dialect, answering(reply))
        assert isinstance(found, Error)
        assert (found.kind, found.retry_after_s) == (ErrorKind.THROTTLED, 120)

    @pytest.mark.parametrize("name", IN_DOUBT)
    async def test_no_callback_is_believed_without_the_secret(self, dialect: Dialect, name: str) -> None:
        headers = [(b"webhook-id", b"a"), (b"webhook-timestamp", b"1"), (b"webhook-signature", b"v3,00")]
        async with facing(IN_DOUBT[name]) as (client, _):
            verdict = await dialect.open(client).verify(headers, b"{}", now=1_000)
        assert verdict in (Verdict.UNSIGNED, Verdict.INVALID)

    @pytest.mark.parametrize("name", IN_DOUBT)
    async def test_an_account_that_cannot_be_asked_says_just_that(self, dialect: Dialect, name: str) -> None:
        async with facing(IN_DOUBT[name]) as (client, _):
            account = await dialect.open(client).account()
        assert "cannot be asked" in account.trouble
        assert KEY not in account.trouble


async def submitted(
    dialect: Dialect, behave: Behaviour, *, deadline_s: float = 20.0
) -> tuple[Evidence, RawServer]:
    async with facing(behave) as (client, server):
        return await dialect.open(client, deadline_s=deadline_s).submit(dialect.submission), server


async def polled(dialect: Dialect, behave: Behaviour) -> tuple[Evidence, RawServer]:
    async with facing(behave) as (client, server):
        return await dialect.open(client).poll(dialect.task), server


async def looked_up(dialect: Dialect, behave: Behaviour) -> History | Error:
    async with facing(behave) as (client, _):
        return await look_up(dialect.open(client), dialect)


async def look_up(adapter: Provider, dialect: Dialect) -> History | Error:
    return await adapter.look_up(dialect.task.model, after=0, before=1, is_alike=lambda _: True)


def assert_refusal(evidence: Evidence, status: Status, kind: ErrorKind) -> None:
    assert evidence.status is status
    assert evidence.result is None
    assert evidence.error is not None
    assert evidence.error.kind is kind
    assert evidence.error.message
