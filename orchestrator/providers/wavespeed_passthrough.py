"""Hands questions that only WaveSpeed can answer, and uploads, through to it for our users.

The user sees WaveSpeed's answer, but never its trouble with this server's key: a 401 of WaveSpeed's is not
our user's 401. Nothing of the user's own credential goes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec

from orchestrator.errors import ProviderTrouble
from orchestrator.providers.base import Passed
from orchestrator.providers.exchange import Answer, NoAnswer, exchange, send
from orchestrator.providers.wavespeed_answers import MENDING, said_status
from orchestrator.providers.wavespeed_shapes import Envelope, excerpt_of, open_envelope, shown

_ASK_DEADLINE_S = 30.0
# 200 MB at 1 Mbit/s. What the provider does not take ends sooner, by the time-outs per read and write.
_UPLOAD_DEADLINE_S = 1_800.0
_UPLOAD_TIMEOUT = httpx.Timeout(60, connect=10, pool=10)
# What a prediction's code says that comes for an answer: 1xxx is the request's fault, 5xxx the provider's.
_STATUSES = {5_003: 503, 5_004: 504}
_OF_THE_SERVER = 5_000
_NULL = msgspec.Raw(b"null")
_UPLOAD_HEADERS = frozenset({"content-type", "content-length"})


async def ask(client: httpx.AsyncClient, method: str, path: str, *, body: bytes | None) -> Passed:
    """Raises ProviderTrouble when there is no usable answer."""
    return _pass_on(await exchange(client, method, path, body=body, deadline_s=_ASK_DEADLINE_S))


async def upload(
    client: httpx.AsyncClient, path: str, *, headers: Mapping[str, str], body: AsyncIterator[bytes]
) -> Passed:
    """Streamed as it comes. Raises ProviderTrouble, also when `body` breaks off as our user goes away."""
    kept = {name: value for name, value in headers.items() if name.lower() in _UPLOAD_HEADERS}
    try:
        request = client.build_request("POST", path, content=body, headers=kept, timeout=_UPLOAD_TIMEOUT)
    except httpx.InvalidURL as error:
        raise ProviderTrouble(cause=str(error)) from None
    return _pass_on(await send(client, request, deadline_s=_UPLOAD_DEADLINE_S))


def _pass_on(answer: Answer | NoAnswer) -> Passed:
    if isinstance(answer, NoAnswer):
        if answer.is_timeout:
            raise ProviderTrouble("The provider did not answer in time.", status=504, cause=answer.reason)
        raise ProviderTrouble("The provider could not be reached.", cause=answer.reason)
    envelope = open_envelope(answer.body) if answer.is_whole else None
    if envelope is None:
        raise _trouble("The provider's answer could not be read.", answer)
    said = said_status(answer, envelope)
    if said in (401, 403):
        raise ProviderTrouble("The provider refused this server's key.", cause=MENDING[said])
    if 300 <= answer.status < 400:
        raise _trouble("The provider's answer could not be used.", answer)
    if 200 <= said < 300:
        if envelope.data == _NULL:  # some clients fail on it, others ask for ever
            raise _trouble("The provider's answer is empty.", answer)
        return Passed(status=answer.status, body=answer.body)
    return _error(answer, envelope, said)


def _error(answer: Answer, envelope: Envelope, said: int) -> Passed:
    """Clients take HTTP 200 for success, whatever the envelope says, and a key `error` for a crash."""
    status = said if 400 <= said < 600 else _STATUSES.get(said, 400 if said < _OF_THE_SERVER else 502)
    message = shown(envelope.message) or f"The provider answered {said} without saying why."
    body: dict[str, Any] = {"code": status, "message": message}
    if isinstance(envelope.error_code, str):
        body["error_code"] = shown(envelope.error_code)
    return Passed(
        status=status,
        body=msgspec.json.encode(body),
        retry_after=answer.retry_after,
    )


def _trouble(message: str, answer: Answer) -> ProviderTrouble:
    return ProviderTrouble(message, cause=f"HTTP {answer.status}: {excerpt_of(answer.body)[:200]}")
