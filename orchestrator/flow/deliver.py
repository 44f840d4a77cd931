"""Tells the users' webhooks and endpoints what has happened, signed, until it is heard or dead."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import httpx
import msgspec

from orchestrator import policy, signing
from orchestrator.bell import Kind
from orchestrator.crash import crashpoint
from orchestrator.flow.endpoints import signing_secrets
from orchestrator.flow.message import message
from orchestrator.flow.receivers import Outcome, Receivers, Standing
from orchestrator.net.clients import deadline, read_capped
from orchestrator.net.guard import BlockedUrl
from orchestrator.retry_after import read_retry_after
from orchestrator.runtime import Runtime
from orchestrator.sealing import Unsealable
from orchestrator.store import deliveries, delivery_queue
from orchestrator.store.deliveries import Attempted, Due
from orchestrator.store.delivery_queue import Waiting

_LOOK_AT = 200
_ANSWER_LIMIT = 16_000
_KEPT_OF_ANSWER = 1_000
_GONE = 410
_TOO_MANY = 429
_MAY_SAY_WHEN = frozenset({429, 502, 503, 504})


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    status: int | None = None
    error: str | None = None
    answer: str = ""
    retry_after_s: float | None = None


async def take_due(runtime: Runtime, receivers: Receivers) -> tuple[list[Due], bool]:
    """The deliveries to attempt now, which have their places, and whether there may be more of them."""
    now, waiting = runtime.clock.now(), await _waiting(runtime, receivers)
    chosen = receivers.choose([(one.id, one.host) for one in waiting], time.monotonic())
    if not chosen:
        return [], False
    due = await runtime.store.write(deliveries.take_deliveries, ids=chosen, now=now)
    for one in due:
        receivers.begin(one.id, one.host, time.monotonic())
    # Where another worker was first, there may be others still.
    return due, len(waiting) == _LOOK_AT or len(due) < len(chosen)


async def _waiting(runtime: Runtime, receivers: Receivers) -> list[Waiting]:
    """Those due longest to hosts that may get something. Where new hosts may not, nothing is seen of what is
    due to them: it may be any number, and older than all that is due to the others.
    """
    now, at = runtime.clock.now(), time.monotonic()
    if receivers.free_places(Standing.NEW, at) > 0:
        closed = receivers.closed_hosts(at)
        return await runtime.store.read(
            delivery_queue.due_deliveries, now=now, most=_LOOK_AT, closed_hosts=closed
        )
    hosts = receivers.open_hosts(at)
    return await runtime.store.read(delivery_queue.due_to_hosts, now=now, most=_LOOK_AT, hosts=hosts)


async def deliver(runtime: Runtime, due: Due, receivers: Receivers, *, on_answer: Callable[[], None]) -> None:
    """One attempt, and its place in the record. `on_answer` hears when the host is free for another."""
    at, started = runtime.clock.now(), time.monotonic()
    heard = await _post(runtime, due, at)
    took_s = time.monotonic() - started
    receivers.learn(due.host, _outcome(heard, took_s), time.monotonic())
    on_answer()
    crashpoint("delivered_before_commit")
    is_delivered = heard.status is not None and 200 <= heard.status < 300
    attempted = Attempted(
        delivery_id=due.id,
        number=due.number,
        at=at,
        latency_ms=int(1_000 * took_s),
        status=heard.status,
        error=heard.error,
        answer=heard.answer,
        is_delivered=is_delivered,
        due_at=None if is_delivered else _next_at(due, heard, at),
        endpoint=due.endpoint,
    )
    if await runtime.store.record(attempted):
        runtime.log.warning("endpoint.disabled", delivery=due.id, status=heard.status)
        runtime.bell.ring(Kind.DELIVER)  # its tenant's other endpoints are told


def _outcome(heard: _Heard, took_s: float) -> Outcome:
    """Of the host: one URL that it does not know, or forbids, says nothing against its others."""
    if heard.status is None:
        return Outcome.SILENT if took_s > policy.DELIVERY_PROMPT_S else Outcome.FAILED
    return Outcome.FAILED if heard.status >= 500 or heard.status == _TOO_MANY else Outcome.ANSWERED


def _next_at(due: Due, heard: _Heard, at: int) -> int | None:
    if heard.status == _GONE:
        return None
    in_s = policy.delivery_in_s(due.failures + 1, random.random(), heard.retry_after_s)  # noqa: S311  jitter
    return None if in_s is None else at + int(1_000 * in_s)


async def _post(runtime: Runtime, due: Due, at: int) -> _Heard:
    """One POST of exactly the bytes that were signed; a redirect is an answer like any other."""
    timestamp = at // 1_000
    body = message(due, base_url=runtime.base_url)
    try:
        secrets = signing_secrets(runtime, due, at)
    except Unsealable:
        runtime.log.warning("delivery.unsigned", delivery=due.id, because="no key of ours opens the secret")
        return _Heard(error="its secret cannot be opened with any ORCHESTRATOR_SECRET in use")
    signature = signing.sign(
        secrets, message_id=due.id, timestamp=timestamp, body=body, scheme=signing.Scheme(due.scheme)
    )
    headers = {
        "content-type": "application/json",
        "webhook-id": due.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }
    try:
        async with (
            deadline(policy.DELIVERY_DEADLINE_S),
            runtime.webhooks.stream("POST", due.url, content=body, headers=headers) as response,
        ):
            answer = await read_capped(response, _ANSWER_LIMIT)
    except BlockedUrl as blocked:
        runtime.log.warning("delivery.blocked", delivery=due.id, because=str(blocked.cause))
        return _Heard(error="could not be reached")
    except httpx.HTTPError as error:
        runtime.log.info("delivery.failed", delivery=due.id, because=type(error).__name__)
        return _Heard(error="could not be reached")
    text = answer[:_KEPT_OF_ANSWER].decode(errors="replace").replace("\0", "�")
    return _Heard(status=response.status_code, answer=text, retry_after_s=_retry_after_s(response, at))


def _retry_after_s(response: httpx.Response, at: int) -> float | None:
    if response.status_code not in _MAY_SAY_WHEN:
        return None
    return read_retry_after(response.headers.get("retry-after", ""), now=at)
