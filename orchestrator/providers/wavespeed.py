"""The WaveSpeed adapter: what the flows ask of a provider, in WaveSpeed's HTTP API and with one key.

Each method sends its request exactly once. How an answer is classed stands in wavespeed_answers.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from orchestrator import signing
from orchestrator.clock import MINUTE, SECOND, Clock
from orchestrator.evidence import Error, ErrorKind, Evidence, Source, Status
from orchestrator.model_names import is_model_name
from orchestrator.providers import wavespeed_history, wavespeed_passthrough
from orchestrator.providers.base import Account, History, IsAlike, Passed, Submission, TaskRef
from orchestrator.providers.exchange import NoAnswer, exchange
from orchestrator.providers.wavespeed_answers import MENDING, read_poll, read_submit, said_status
from orchestrator.providers.wavespeed_shapes import (
    evidence_of,
    excerpt_of,
    is_task_id,
    open_envelope,
    open_prediction,
    shown,
)
from orchestrator.signing import Scheme, Verdict

_Data = TypeVar("_Data")
_Finite = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]

_POLL_DEADLINE_S = 10.0
_SECRET_DEADLINE_S = 5.0
_SECRET_PAUSE_MS = MINUTE

_API_VERSIONS = frozenset({"v2", "v3"})
_UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]")


class _Secret(msgspec.Struct, frozen=True):
    secret: str


class _Balance(msgspec.Struct, frozen=True):
    balance: _Finite


class WaveSpeed:
    """`client` brings the base URL and the Authorization header, and so does `passing`."""

    name = "wavespeed"

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        clock: Clock,
        deadline_s: float = 20.0,
        passing: httpx.AsyncClient | None = None,
    ) -> None:
        """`deadline_s` is for the whole of a submission, from the wait for a connection to the last byte.

        `passing` has connections of its own for what our users ask and upload, however slow they are.
        """
        self._client = client
        self._passing = passing or client
        self._clock = clock
        self._deadline_s = deadline_s
        self._secret = ""
        self._secret_asked_at: int | None = None
        self._secret_lock = asyncio.Lock()

    async def submit(self, submission: Submission) -> Evidence:
        """Send the one POST."""
        if not _is_submittable(submission):
            return _not_submittable(submission)
        path = f"/api/{submission.api_version}/{submission.model}"
        if submission.callback_url is not None:
            path += "?webhook=" + _UNSAFE.sub(lambda found: _quoted(found[0]), submission.callback_url)
        answer = await exchange(
            self._client, "POST", path, body=submission.input, deadline_s=self._deadline_s
        )
        return read_submit(answer, now=self._clock.now())

    async def poll(self, task: TaskRef) -> Evidence:
        """Ask for one task."""
        if task.api_version not in _API_VERSIONS or not is_task_id(task.provider_id):
            return Evidence(source=Source.POLL, status=Status.GONE, excerpt="no id of WaveSpeed's")
        path = f"/api/{task.api_version}/predictions/{task.provider_id}/result"
        answer = await exchange(self._client, "GET", path, deadline_s=_POLL_DEADLINE_S)
        return read_poll(answer, asked=task.provider_id, now=self._clock.now())

    async def look_up(self, model: str, *, after: int, before: int, is_alike: IsAlike) -> History | Error:
        """The model's alike tasks made in the window (ms), oldest first; or why it cannot be listed."""
        return await wavespeed_history.look_up(
            self._client, model, after=after, before=before, is_alike=is_alike, clock=self._clock
        )

    async def verify(self, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, now: int) -> Verdict:
        """Judge a callback's signature. Without the signing secret every callback counts as unsigned."""
        used = self._secret
        if used:
            verdict = _judge(headers, body, secret=used, now=now)
            if verdict is not Verdict.INVALID:
                return verdict
        await self._refresh_secret(used, now=now)
        return _judge(headers, body, secret=self._secret, now=now) if self._secret else Verdict.UNSIGNED

    def parse_callback(self, body: bytes) -> Evidence | None:
        """The bare prediction; None when it does not say which task it is about and how that stands."""
        prediction = open_prediction(body)
        if prediction is None or prediction.task_id is None or not isinstance(prediction.status, str):
            return None
        return evidence_of(prediction, source=Source.CALLBACK, excerpt=excerpt_of(body))

    async def account(self) -> Account:
        """Ask for the balance. A WaveSpeed that is down is told apart: it "cannot be asked"."""
        answer = await exchange(self._client, "GET", "/api/v3/balance", deadline_s=_POLL_DEADLINE_S)
        if isinstance(answer, NoAnswer):
            return Account(trouble=f"WaveSpeed cannot be asked at the moment: {shown(answer.reason)}")
        envelope = open_envelope(answer.body)
        said = said_status(answer, envelope) if envelope else answer.status
        if said in MENDING:
            return Account(trouble=MENDING[said])
        held = _read(answer.body, _Balance) if answer.is_success else None
        if held is None:
            return Account(trouble=f"WaveSpeed cannot be asked at the moment: it answered HTTP {said}")
        return Account(trouble=MENDING[402] if held.balance <= 0 else "", balance=held.balance)

    async def ask(self, method: str, path: str, *, body: bytes | None = None) -> Passed:
        """Forward one small JSON request; raises ProviderTrouble when there is no usable answer."""
        return await wavespeed_passthrough.ask(self._passing, method, path, body=body)

    async def upload(self, path: str, *, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Passed:
        """Stream a multipart upload through. Raises ProviderTrouble."""
        return await wavespeed_passthrough.upload(self._passing, path, headers=headers, body=body)

    async def _refresh_secret(self, used: str, *, now: int) -> None:
        """Fetch the secret that replaced `used`: one fetch for all who wait, and at most one in a minute."""
        async with self._secret_lock:
            asked_at = self._secret_asked_at
            if self._secret != used or (asked_at is not None and now - asked_at < _SECRET_PAUSE_MS):
                return
            self._secret_asked_at = now
            answer = await exchange(
                self._client, "GET", "/api/v3/webhook/secret", deadline_s=_SECRET_DEADLINE_S
            )
            if isinstance(answer, NoAnswer) or not answer.is_success:
                return
            told = _read(answer.body, _Secret)
            self._secret = told.secret if told else self._secret


@lru_cache(maxsize=256)
def _quoted(character: str) -> str:
    """One character for a query; `quote` itself looks at every one, and few of a URL's need it."""
    return quote(character, safe="")


def _judge(headers: Sequence[tuple[bytes, bytes]], body: bytes, *, secret: str, now: int) -> Verdict:
    return signing.verify(headers, body, secrets=[secret], now_s=now / SECOND, scheme=Scheme.V3)


def _read(body: bytes, kind: type[_Data]) -> _Data | None:
    """The envelope's data, if it has this shape; a number may come as a text."""
    envelope = open_envelope(body)
    if envelope is None:
        return None
    try:
        return msgspec.json.decode(envelope.data, type=kind, strict=False)
    except (ValueError, RecursionError):
        return None


def _is_submittable(submission: Submission) -> bool:
    return submission.api_version in _API_VERSIONS and is_model_name(submission.model)


def _not_submittable(submission: Submission) -> Evidence:
    message = shown(f"{submission.model!r} is not the name of a model of WaveSpeed's.")
    error = Error(ErrorKind.REJECTED, message)
    return Evidence(source=Source.ANSWER, status=Status.REFUSED, error=error)
