"""What a provider must be able to do, and how it says what came of it.

An adapter talks to one provider's API with one credential. It sends each request exactly once (no
transport retry), never raises for what a provider may answer, and classes every answer where it
arrives: the flows see `Evidence` and nothing of HTTP. Every adapter passes tests/providers/conformance.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from orchestrator.evidence import Error, Evidence
from orchestrator.signing import Verdict


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One POST to be sent: `input` is the JSON object as the user gave it, ours stripped."""

    model: str
    api_version: str
    input: bytes
    callback_url: str | None


class TaskRef(msgspec.Struct, frozen=True, kw_only=True):
    """Names one task at the provider."""

    provider_id: str
    model: str
    api_version: str


class PastTask(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the provider's history; `inputs` is None where the provider did not tell them."""

    provider_id: str
    model: str
    created_at: int
    inputs: dict[str, Any] | None
    evidence: Evidence


IsAlike = Callable[[Mapping[str, Any]], bool]
"""Whether inputs, as the provider lists them, may be the ones that are looked for."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider lists; "it is not there" can be said only of a list that `is_whole`."""

    tasks: Sequence[PastTask]
    is_whole: bool
    """False when an item that could be any task of the window cannot be read."""
    pages: int = 1
    """How many requests it took."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the credential works: `trouble` is "" or a sentence that says how to mend it."""

    trouble: str
    balance: float | None = None


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider answered, for our user: HTTP status and JSON body."""

    status: int
    body: bytes
    retry_after: str = ""
    """The header of that name, as it came."""


class Provider(Protocol):
    """The contract of every adapter."""

    name: str

    async def submit(self, submission: Submission) -> Evidence:
        """Send the one POST. REFUSED and UNKNOWN are told apart by one question: was it sent?"""

    async def poll(self, task: TaskRef) -> Evidence:
        """Ask for one task: ACCEPTED, COMPLETED, FAILED, GONE, or SILENT when it could not be asked."""

    async def look_up(self, model: str, *, after: int, before: int, is_alike: IsAlike) -> History | Error:
        """All tasks of the model made in the window (ms of our clock, however the provider's goes) whose
        inputs are alike or not told, oldest first; or why it cannot be listed: THROTTLED, or UNAVAILABLE for
        anything else.
        """

    async def verify(self, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, now: int) -> Verdict:
        """Judge a callback's signature over its raw bytes; never raises."""

    def parse_callback(self, body: bytes) -> Evidence | None:
        """Read a callback's body; None when it is none of ours to understand."""

    async def account(self) -> Account:
        """Ask with the cheapest call whether the credential works."""


class PassThrough(Protocol):
    """Questions of our users that only the provider can answer (WaveSpeed-compatible routes)."""

    async def ask(self, method: str, path: str, *, body: bytes | None = None) -> Passed:
        """Forward one small JSON request; raises ProviderTrouble when there is no usable answer."""

    async def upload(self, path: str, *, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Passed:
        """Stream a multipart upload through; nothing is kept here. Raises ProviderTrouble."""


class CompatibleProvider(Provider, PassThrough, Protocol):
    """One whose API is our own as well, so that it can answer for us what we do not know."""
