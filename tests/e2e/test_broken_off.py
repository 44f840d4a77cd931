"""Clients that go away in the middle of a request: nothing is stored, and no defect is logged."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.stack import FLUX, Stack


@pytest.mark.parametrize("path", [FLUX, "predictions", "media/upload/binary"])
async def test_a_request_that_breaks_off_stores_nothing_and_is_no_defect(stack: Stack, path: str) -> None:
    jobs = await stack.ledger.count_jobs()
    host, _, port = stack.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /api/v3/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {stack.key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 100")  # the server waits for the body now
    writer.write(b'{"prompt":"a li')
    writer.close()
    await writer.wait_closed()
    for _ in range(5):
        assert (await stack.http.get("/health")).status_code == 200
    assert await stack.ledger.count_jobs() == jobs
    assert "Traceback" not in stack.up.said()
