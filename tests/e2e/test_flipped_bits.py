"""A signed callback with any bits flipped, over real HTTP: never believed, never a defect, whichever."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.sandbox.signing import secret_of, sign
from tests.e2e.stack import PROVIDER_KEY, Stack, marked, up_stack

LIE = "https://evil.example/x.png"
PARTS = ("token", "message_id", "timestamp", "body", "signature")
CASES, MANY = 2_000, 100_000
FRESH_S = 100
"""Far below what is believed: else the letter would be refused for its age, whatever its bits."""


@dataclass(frozen=True)
class Letter:
    """A callback in its parts, as bytes of the wire."""

    path: bytes
    token: bytes
    message_id: bytes
    timestamp: bytes
    signature: bytes
    body: bytes

    def flipped(self, part: str, bit: int) -> Letter:
        """With one bit of one part another; `bit` counts round and round."""
        whole = bytearray(getattr(self, part))
        place, shift = divmod(bit % (8 * len(whole)), 8)
        whole[place] ^= 1 << shift
        return replace(self, **{part: bytes(whole)})

    def signed_now(self) -> Letter:
        now = int(time.time())
        secret = secret_of(PROVIDER_KEY)
        signature = sign(secret=secret, message_id=self.message_id.decode(), timestamp=now, body=self.body)
        return replace(self, timestamp=str(now).encode(), signature=signature.encode())

    def on_the_wire(self) -> bytes:
        return b"\r\n".join(
            [
                b"POST %s/%s HTTP/1.1" % (self.path, self.token),
                b"Host: here",
                b"webhook-id: %s" % self.message_id,
                b"webhook-timestamp: %s" % self.timestamp,
                b"webhook-signature: %s" % self.signature,
                b"Content-Length: %d" % len(self.body),
                b"",
                self.body,
            ]
        )


def letter_to(webhook: str, task_id: str) -> Letter:
    """Signed as the provider signs; it says what the provider has not said."""
    path, _, token = urlsplit(webhook).path.rpartition("/")
    body = json.dumps({"id": task_id, "status": "completed", "outputs": [LIE]}).encode()
    return Letter(path.encode(), token.encode(), b"msg-1", b"", b"", body).signed_now()


class Sender:
    """Raw bytes over one kept connection, made again where the server closes it."""

    def __init__(self, stack: Stack) -> None:
        parts = urlsplit(stack.url)
        self._address = (parts.hostname, parts.port)
        self._socket: socket.socket | None = None

    def send(self, letter: Letter) -> tuple[int, bytes]:
        """Status and body."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=30)
        self._socket.sendall(letter.on_the_wire())
        head, body = self._read(self._socket)
        # A flipped bit may make a line break: what the server makes of the rest is left with the connection.
        if b"connection: close" in head or head.split()[1] not in (b"200", b"401"):
            self.close()
        return int(head.split()[1]), body

    def _read(self, connection: socket.socket) -> tuple[bytes, bytes]:
        said = b""
        while b"\r\n\r\n" not in said:
            said += self._more(connection)
        head, _, body = said.partition(b"\r\n\r\n")
        head = head.lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._more(connection)
        return head, body

    def _more(self, connection: socket.socket) -> bytes:
        piece = connection.recv(65_536)
        assert piece, "the server closed without an answer"
        return piece

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@pytest.fixture(scope="module")
async def provider_and_us() -> AsyncIterator[Stack]:
    async with up_stack() as stack:
        yield stack


@pytest.fixture
async def running(provider_and_us: Stack) -> tuple[Stack, str, Letter]:
    """A job whose task goes on, and a letter that says it has ended."""
    stack = provider_and_us
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    (task,) = await stack.tasks(job_id)
    return stack, job_id, letter_to(task["webhook"], task["id"])


def flip_many(running: tuple[Stack, str, Letter], cases: int) -> None:
    stack, job_id, letter = running
    sender, letters = Sender(stack), [letter]

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(PARTS), st.integers(0, 2_047)), min_size=1, max_size=3))
    def flip(flips: list[tuple[str, int]]) -> None:
        if time.time() - int(letters[-1].timestamp) > FRESH_S:
            letters.append(letters[-1].signed_now())
        wrong = letters[-1]
        for part, bit in flips:
            wrong = wrong.flipped(part, bit)
        assume(wrong != letters[-1])  # the same bit twice
        status, said = sender.send(wrong)
        assert status < 500, said
        assert b'"believed"' not in said, said

    flip()
    sender.close()
    with httpx.Client(base_url=stack.url, headers={"authorization": f"Bearer {stack.key}"}) as http:
        job = http.get(f"/api/v3/jobs/{job_id}").json()["data"]
    assert (job["phase"], job["outputs"]) == ("accepted", [])
    assert {one["verdict"] for one in job["callbacks"]} <= {"invalid", "unsigned", "stale"}


def test_no_flipped_bit_is_believed(running: tuple[Stack, str, Letter]) -> None:
    flip_many(running, CASES)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_none_of_a_hundred_thousand_flipped_bits_is_believed(running: tuple[Stack, str, Letter]) -> None:
    flip_many(running, MANY)


async def test_the_same_letter_without_a_flip_is_believed(running: tuple[Stack, str, Letter]) -> None:
    stack, job_id, letter = running
    sender = Sender(stack)
    status, said = sender.send(letter)
    sender.close()
    assert (status, json.loads(said)["data"]) == (200, {"callback": "believed"})
    assert (await stack.ended(job_id))["outputs"] == [LIE]


async def test_after_many_lies_the_job_ends_as_the_provider_says(
    running: tuple[Stack, str, Letter],
) -> None:
    stack, job_id, letter = running
    sender = Sender(stack)
    for bit in range(0, 8 * 40, 7):
        sender.send(letter.flipped("signature", bit))
    sender.close()
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    ended = await stack.ended(job_id)
    (task,) = await stack.tasks(job_id)
    assert (ended["phase"], ended["outputs"]) == ("completed", task["outputs"])
