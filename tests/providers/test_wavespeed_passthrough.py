"""Questions of our users that are handed through to WaveSpeed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.clock import Clock
from orchestrator.errors import ProviderTrouble
from orchestrator.evidence import Status
from orchestrator.net.clients import provider_client
from orchestrator.providers import wavespeed_passthrough
from orchestrator.providers.base import Passed
from orchestrator.providers.wavespeed import WaveSpeed
from tests.net.raw_server import Behaviour, Peer, answering, serving
from tests.providers.conformance import IN_DOUBT
from tests.providers.dialect import KEY, as_json, facing, http
from tests.providers.test_wavespeed import DIALECT, envelope

PATH = "/api/v3/model/price"
UPLOAD = "/api/v3/media/upload/binary"


async def asked(behave: Behaviour) -> Passed:
    async with facing(behave) as (client, _):
        return await DIALECT.open(client).ask("POST", PATH, body=b"{}")


async def test_the_question_and_the_answer_go_through_as_they_are() -> None:
    answer = envelope({"price": 0.1})
    async with facing(answering(http(200, answer))) as (client, server):
        passed = await DIALECT.open(client).ask("POST", PATH, body=b'{ "model_id": "a/b" }')
    assert passed == Passed(status=200, body=answer)
    assert server.requests[0].startswith(b"POST /api/v3/model/price HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{ "model_id": "a/b" }')


@pytest.mark.parametrize("status", [400, 404, 413, 429, 500, 503])
async def test_an_error_in_the_envelope_is_the_users_to_see(status: int) -> None:
    error = {"code": status, "message": "hm", "error_code": "x"}
    passed = await asked(answering(http(status, as_json(error))))
    assert (passed.status, json.loads(passed.body)) == (status, error)


async def test_a_key_that_clients_take_for_a_crash_is_left_out() -> None:
    passed = await asked(answering(http(404, as_json({"code": 404, "message": "hm", "error": "boom"}))))
    assert (passed.status, json.loads(passed.body)) == (404, {"code": 404, "message": "hm"})


@pytest.mark.parametrize(
    ("code", "status"), [(400, 400), (429, 429), (1400, 400), (5000, 502), (5003, 503), (5004, 504)]
)
async def test_an_error_inside_http_200_gets_its_own_status(code: int, status: int) -> None:
    passed = await asked(answering(http(200, as_json({"code": code, "message": "hm"}))))
    assert (passed.status, json.loads(passed.body)) == (status, {"code": status, "message": "hm"})


async def test_when_to_come_again_is_handed_on() -> None:
    body = as_json({"code": 429, "message": "hm"})
    assert (await asked(answering(http(429, body, "Retry-After: 7")))).retry_after == "7"


async def test_an_empty_answer_is_the_providers_trouble() -> None:
    with pytest.raises(ProviderTrouble, match="empty"):
        await asked(answering(http(200, as_json({"code": 200, "message": "success", "data": None}))))


@pytest.mark.parametrize(("status", "code"), [(401, 401), (403, 403), (200, 401)])
async def test_the_providers_401_is_not_our_users_401(status: int, code: int) -> None:
    with pytest.raises(ProviderTrouble, match="refused this server's key") as trouble:
        await asked(answering(http(status, as_json({"code": code, "message": KEY}))))
    assert trouble.value.status == 502


@pytest.mark.parametrize(
    "name", sorted(IN_DOUBT.keys() - {"200 empty object", "200 too deep", "200 not UTF-8"})
)
async def test_no_usable_answer_is_the_providers_trouble(name: str) -> None:
    with pytest.raises(ProviderTrouble) as trouble:
        await asked(IN_DOUBT[name])
    assert trouble.value.status == 502


@pytest.mark.parametrize(
    ("error", "status"), [(httpx.ReadTimeout, 504), (httpx.ConnectTimeout, 504), (httpx.ConnectError, 502)]
)
async def test_a_time_out_is_told_from_a_dead_line(error: type[httpx.RequestError], status: int) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("broken")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail), base_url="http://p.test") as client:
        with pytest.raises(ProviderTrouble) as trouble:
            await DIALECT.open(client).ask("GET", "/api/v3/models")
    assert trouble.value.status == status


async def in_pieces() -> AsyncIterator[bytes]:
    for piece in (b"--x\r\n", b"\r\n", b"bytes", b"\r\n--x--\r\n"):
        yield piece


async def test_an_upload_keeps_its_type_and_length_and_nothing_else_of_the_user() -> None:
    answer = envelope({"download_url": "https://x.test/1.png"})
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": "21",
        "Authorization": "Bearer the-users-own",
        "Cookie": "a=b",
    }
    async with facing(answering(http(200, answer))) as (client, server):
        passed = await DIALECT.open(client).upload(UPLOAD, headers=headers, body=in_pieces())
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert passed == Passed(status=200, body=answer)
    assert b"multipart/form-data; boundary=x" in head
    assert b"the-users-own" not in head
    assert b"cookie" not in head.lower()
    assert body == b"--x\r\n\r\nbytes\r\n--x--\r\n"


async def dripping() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.01)


async def answer_no_upload(peer: Peer) -> None:
    head = await peer.read_head()
    async with peer.server.seen:
        peer.server.requests.append(head)
        peer.server.seen.notify_all()
    if b"upload/binary" not in head:
        await peer.send(http(200, DIALECT.accepted()))
    await peer.hold()


async def test_uploads_that_take_long_hold_up_no_submission() -> None:
    async with (
        serving(answer_no_upload) as server,
        provider_client(base_url=server.url, limit=2, timeout=httpx.Timeout(5, pool=0.2)) as client,
        provider_client(base_url=server.url, limit=2) as passing,
    ):
        adapter = WaveSpeed(client, clock=Clock(), passing=passing)
        uploads = [asyncio.create_task(adapter.upload(UPLOAD, headers={}, body=dripping())) for _ in range(2)]
        await server.wait_for_requests(2)
        evidence = await adapter.submit(DIALECT.submission)
        for upload in uploads:
            upload.cancel()
        await asyncio.gather(*uploads, return_exceptions=True)
    assert evidence.status is Status.ACCEPTED


async def test_an_upload_ends_at_its_deadline_however_steadily_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wavespeed_passthrough, "_UPLOAD_DEADLINE_S", 0.1)
    async with facing(answer_no_upload) as (client, _):
        with pytest.raises(ProviderTrouble) as trouble:
            await DIALECT.open(client).upload(UPLOAD, headers={}, body=dripping())
    assert trouble.value.status == 504


async def test_an_upload_whose_user_leaves_in_the_middle_never_looks_whole() -> None:
    reached = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b"--x"
        raise ConnectionResetError

    async def receive(peer: Peer) -> None:
        reached.set()
        await peer.read_request()
        await peer.send(http(200, b"{}"))

    async with facing(receive) as (client, server):
        with pytest.raises(ProviderTrouble):
            await DIALECT.open(client).upload(UPLOAD, headers={"content-length": "21"}, body=half())
        await reached.wait()
    assert server.requests == []
