"""A listener that does not read: it takes no memory that grows, and misses nothing when it comes again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path

from tests.e2e.listening import listening
from tests.e2e.stack import Stack

FLOOD = 10_000
MOST_GROWTH_MB = 60
_NUMBERED = re.compile(rb'"because":"flood (\d+) ')


async def flood(stack: Stack) -> None:
    """So many events at once, of 4,000 characters and more each: 40 MB as they are sent."""
    await stack.ledger.change(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :most)"
        " INSERT INTO events (id, job_id, tenant_id, at, verb, to_phase, attempt, source, because)"
        " SELECT printf('%032d', n), 'nobody', (SELECT min(id) FROM tenants), 1, 'accept', 'accepted', 1,"
        " 'x', 'flood ' || n || ' ' || printf('%4000s', '.') FROM numbers",
        most=FLOOD,
    )


def memory_mb(stack: Stack) -> float:
    assert stack.up.running is not None
    status = Path(f"/proc/{stack.up.running.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1_024


def numbers(text: bytes) -> list[int]:
    return [int(number) for number in _NUMBERED.findall(text)]


async def test_a_listener_that_does_not_read_costs_little_and_comes_again_without_loss(
    own_stack: Stack,
) -> None:
    stack = own_stack
    host, _, port = stack.url.removeprefix("http://").partition(":")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.connect((host, int(port)))
        head = f"Host: x\r\nAuthorization: Bearer {stack.key}\r\nConnection: close\r\n\r\n"
        raw.sendall(f"GET /api/v3/events HTTP/1.1\r\n{head}".encode())
        first = raw.recv(10_000)
        assert b" 200 " in first
        async with listening(stack) as quick:
            before = memory_mb(stack)
            await flood(stack)
            # On a busy machine this one may be too slow as well, and is sent away then.
            with contextlib.suppress(StopAsyncIteration):
                for n in range(1, FLOOD + 1):
                    assert (await quick.next()).data["because"].startswith(f"flood {n} ")
        assert memory_mb(stack) - before < MOST_GROWTH_MB
        text = await asyncio.to_thread(read_all, raw)
    assert b"you read too slowly" in text
    told = numbers(text)
    assert told == list(range(1, len(told) + 1))
    assert len(told) < FLOOD
    last_id = re.findall(rb"^id: (\S+)", text, re.MULTILINE)[-1].decode()
    async with listening(stack, last_id=last_id) as again:
        for n in range(len(told) + 1, FLOOD + 1):
            assert (await again.next()).data["because"].startswith(f"flood {n} ")
    await stack.ledger.change("DELETE FROM events WHERE job_id = 'nobody'")


def read_all(raw: socket.socket) -> bytes:
    raw.settimeout(30)
    return b"".join(iter(lambda: raw.recv(1 << 16), b""))
