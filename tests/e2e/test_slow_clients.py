"""Clients that never finish, over raw sockets, harm nobody and are closed; a slow one that goes on lives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from orchestrator import uploads
from tests.e2e import bulk
from tests.e2e.program import until
from tests.e2e.stack import FLUX, Stack, data_of, up_stack

HALF_OPEN = 500
CLOSED_WITHIN_S = 30.0
MEGABYTE = 1 << 20
JOB_LIMIT = 10 * MEGABYTE
BATCH_LIMIT = 200 * MEGABYTE
UPLOADS = "/api/v3/media/upload/binary"
GIGABYTE = 1 << 30


@pytest.fixture(scope="module")
async def patient() -> AsyncIterator[Stack]:
    async with up_stack() as stack:
        yield stack


class Client:
    """One connection, spoken to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, stack: Stack, said: bytes = b"") -> Client:
        parts = urlsplit(stack.url)
        client = cls(*await asyncio.open_connection(parts.hostname, parts.port))
        client.writer.write(said)
        return client

    async def answer(self) -> bytes:
        """All that the server says until it closes."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""
        finally:
            self.writer.close()

    async def status(self) -> int:
        """The status line of an answer that comes while we may still be sending."""
        return int((await self.reader.readline()).split()[1])

    async def drip(self, piece: bytes, *, every_s: float) -> None:
        """Say this again and again, until nobody listens."""
        while not self.writer.is_closing():
            self.writer.write(piece)
            await asyncio.sleep(every_s)


def head(stack: Stack, path: str = f"/api/v3/{FLUX}", **headers: str) -> bytes:
    """A POST up to the blank line."""
    told = {"Host": "here", "Authorization": f"Bearer {stack.key}", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in told.items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode()


async def seconds_until_closed(client: Client) -> tuple[float, bytes]:
    began = time.monotonic()
    async with asyncio.timeout(CLOSED_WITHIN_S + 15):
        said = await client.answer()
    return time.monotonic() - began, said


async def test_half_open_requests_are_closed_and_delay_nobody(patient: Stack) -> None:
    begun = [b"", b"POST /api", head(patient)[:-2], head(patient, Content_Length="100") + b'{"prompt":']
    clients = await asyncio.gather(
        *(Client.of(patient, begun[number % len(begun)]) for number in range(HALF_OPEN))
    )
    closing = [asyncio.create_task(seconds_until_closed(client)) for client in clients]
    latencies = []
    while not all(task.done() for task in closing):
        began = time.monotonic()
        assert (await patient.http.get("/api/v3/jobs?limit=1")).status_code == 200
        latencies.append(time.monotonic() - began)
    ended = await asyncio.gather(*closing)
    assert max(seconds for seconds, _ in ended) < CLOSED_WITHIN_S
    assert {said.split()[1] for _, said in ended if said} == {b"408"}
    assert sorted(latencies)[int(len(latencies) * 0.99)] < 0.5


@pytest.mark.parametrize(
    ("said", "piece"),
    [
        pytest.param("POST / HTTP/1.1\r\nHost: here\r\n", b"x: y\r\n", id="headers"),
        pytest.param("", b"\r\n", id="blank lines"),
        pytest.param("length", b"x", id="body"),
        pytest.param("chunked", b"1\r\nx\r\n", id="chunks"),
        pytest.param("lines", b"1\r\n\n\r\n", id="lines of a batch"),
    ],
)
async def test_what_drips_a_byte_at_a_time_ends(patient: Stack, said: str, piece: bytes) -> None:
    chunked = {"Transfer_Encoding": "chunked"}
    heads = {
        "length": head(patient, Content_Length="1000"),
        "chunked": head(patient, **chunked),
        "lines": head(patient, bulk.BATCHES, **chunked),
    }
    client = await Client.of(patient, heads.get(said, said.encode()))
    dripping = asyncio.create_task(client.drip(piece, every_s=0.2))
    seconds, _ = await seconds_until_closed(client)
    await dripping
    assert seconds < CLOSED_WITHIN_S


async def test_a_batch_that_trickles_and_makes_progress_lives(patient: Stack) -> None:
    lines = [bulk.line("a lighthouse " + "by the sea " * 20) for _ in range(80)]
    path = f"{bulk.BATCHES}?model={FLUX}"
    client = await Client.of(patient, head(patient, path, Transfer_Encoding="chunked"))
    for line in lines:  # for longer than two of the windows that a body must make progress in
        text = bulk.jsonl([line])
        client.writer.write(b"%x\r\n%s\r\n" % (len(text), text))
        await asyncio.sleep(0.4)
    client.writer.write(b"0\r\n\r\n")
    async with asyncio.timeout(15):
        assert await client.status() == 200
    client.writer.close()
    (batch, *_) = data_of(await patient.http.get(bulk.BATCHES))["items"]
    assert batch["total"] == len(lines)


@pytest.mark.parametrize(
    ("path", "limit", "most_grown"),
    [(f"/api/v3/{FLUX}", JOB_LIMIT, 60 * MEGABYTE), (bulk.BATCHES, BATCH_LIMIT, 60 * MEGABYTE)],
    ids=["job", "batch"],
)
async def test_an_endless_upload_is_cut_at_the_cap_with_flat_memory(
    patient: Stack, path: str, limit: int, most_grown: int
) -> None:
    line = b'{"input": {"prompt": "%s"}}\n' % (b"x" * (MEGABYTE - 40))
    chunk = b"%x\r\n%s\r\n" % (len(line), line)
    client = await Client.of(patient, head(patient, path, Transfer_Encoding="chunked"))
    answered = asyncio.create_task(client.status())
    before, most, sent = memory(patient), 0, 0
    while not answered.done() and sent < GIGABYTE:
        client.writer.write(chunk)
        await client.writer.drain()
        await asyncio.sleep(0)
        sent += len(chunk)
        most = max(most, memory(patient))
    assert await answered == 413
    assert limit < sent < limit + 24 * MEGABYTE
    assert most - before < most_grown
    client.writer.close()


async def test_an_upload_that_goes_on_after_its_answer_is_closed(patient: Stack) -> None:
    client = await Client.of(patient, head(patient, Transfer_Encoding="chunked", Content_Encoding="gzip"))
    going_on = asyncio.create_task(client.drip(b"400\r\n%s\r\n" % (b"x" * 1_024), every_s=0.05))
    seconds, said = await seconds_until_closed(client)
    await going_on
    assert said.split()[1] == b"415"
    assert seconds < CLOSED_WITHIN_S


@pytest.mark.parametrize(
    ("begun", "endless"),
    [(b"POST / HTTP/1.1\r\n", b"name: %s\r\n" % (b"v" * 1_000)), (b"", b"POST /" + b"a" * 1_000)],
    ids=["headers", "path"],
)
async def test_endless_headers_are_refused_with_flat_memory(
    patient: Stack, begun: bytes, endless: bytes
) -> None:
    before = memory(patient)
    client = await Client.of(patient, begun)
    reading = asyncio.create_task(seconds_until_closed(client))
    sent = 0
    while not reading.done() and sent < 50 * MEGABYTE:
        client.writer.write(endless)
        sent += len(endless)
        await asyncio.sleep(0)
    seconds, said = await reading
    assert (said.split()[1:2], seconds < 5) in (([b"431"], True), ([], True))
    assert memory(patient) - before < 10 * MEGABYTE


async def test_endless_words_between_chunks_are_refused(patient: Stack) -> None:
    client = await Client.of(patient, head(patient, Transfer_Encoding="chunked") + b"1;")
    reading = asyncio.create_task(seconds_until_closed(client))
    while not reading.done():
        client.writer.write(b"x" * 4_096)
        await asyncio.sleep(0)
    assert (await reading)[0] < 5


def memory(stack: Stack) -> int:
    """What the process holds in RAM, in bytes."""
    assert stack.up.running is not None
    pages = int(Path(f"/proc/{stack.up.running.pid}/statm").read_text().split()[1])
    return pages * 4_096


async def test_what_is_no_http_is_logged_in_the_form_of_all_else(patient: Stack) -> None:
    client = await Client.of(patient, b"GARBAGE\r\n\r\n")

    async def line() -> str | None:
        found = [line for line in patient.up.said().splitlines() if "Invalid HTTP request" in line]
        return found[0] if found else None

    told = json.loads(str(await until(line, what="the line in the log")))
    assert (told["logger"], told["level"]) == ("uvicorn.error", "warning")
    client.writer.close()


async def test_slow_uploads_take_a_tenants_seats_and_hold_up_no_job(patient: Stack) -> None:
    begun = head(patient, UPLOADS, Content_Type="multipart/form-data; boundary=x", Content_Length="99")
    slow = [await Client.of(patient, begun) for _ in range(uploads.MOST_OF_A_TENANT)]

    async def is_refused() -> httpx.Response | None:
        answer = await patient.http.post(UPLOADS, files={"file": ("a.png", b"png")})
        return answer if answer.status_code == 429 else None

    refused = await until(is_refused, what="a refusal")
    assert refused is not None
    assert refused.json()["message"].startswith("16 files of this tenant are being uploaded")
    assert (await patient.ended(await patient.created()))["phase"] == "completed"
    for client in slow:
        client.writer.close()

    async def is_taken() -> bool:
        return (await patient.http.post(UPLOADS, files={"file": ("a.png", b"png")})).status_code == 200

    await until(is_taken, what="a seat that is given back")
