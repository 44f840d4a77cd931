"""Tells the users' webhooks how their jobs ended: signed, again and again until it is heard or dead."""

from __future__ import annotations

import random
import time
from collections import Counter

import httpx
import msgspec

from orchestrator import policy, signing
from orchestrator.clock import to_rfc3339
from orchestrator.flow.prediction import prediction
from orchestrator.net.clients import deadline, read_capped
from orchestrator.net.guard import BlockedUrl
from orchestrator.runtime import Runtime
from orchestrator.store import deliveries
from orchestrator.store.deliveries import Attempted, BatchEnd, Due, JobEnd

_ANSWER_LIMIT = 16_000
_KEPT_OF_ANSWER = 1_000
_GONE = 410
_MAY_SAY_WHEN = frozenset({429, 502, 503, 504})


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    status: int | None = None
    error: str | None = None
    answer: str = ""
    retry_after_s: float | None = None


async def take_due(runtime: Runtime, *, slots: int, hosts: Counter[str]) -> list[Due]:
    """At most `slots` deliveries to attempt now; `hosts` counts those under way: none gets all slots."""
    full = [host for host, count in hosts.items() if count >= policy.DELIVERIES_PER_HOST]
    return await runtime.store.write(
        deliveries.take_due_deliveries, now=runtime.clock.now(), most=slots, busy_hosts=full
    )


async def deliver(runtime: Runtime, due: Due) -> None:
    """One attempt, and its place in the record."""
    at, started = runtime.clock.now(), time.monotonic()
    heard = await _post(runtime, due, at)
    latency_ms = int(1_000 * (time.monotonic() - started))
    is_delivered = heard.status is not None and 200 <= heard.status < 300
    attempted = Attempted(
        delivery_id=due.id,
        number=due.failures + 1,
        at=at,
        latency_ms=latency_ms,
        status=heard.status,
        error=heard.error,
        answer=heard.answer,
        is_delivered=is_delivered,
        due_at=None if is_delivered else _next_at(due, heard, at),
    )
    await runtime.store.write(deliveries.record_attempt, attempted=attempted)


def _next_at(due: Due, heard: _Heard, at: int) -> int | None:
    if heard.status == _GONE:
        return None
    in_s = policy.delivery_in_s(due.failures + 1, random.random(), heard.retry_after_s)  # noqa: S311  jitter
    return None if in_s is None else at + int(1_000 * in_s)


async def _post(runtime: Runtime, due: Due, at: int) -> _Heard:
    """One POST of exactly the bytes that were signed; a redirect is an answer like any other."""
    timestamp = at // 1_000
    body, scheme = _message(runtime, due.told)
    signature = signing.sign(
        [runtime.webhook_secret(due.tenant_id)],
        message_id=due.id,
        timestamp=timestamp,
        body=body,
        scheme=scheme,
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
    return _Heard(status=response.status_code, answer=text, retry_after_s=_retry_after_s(response))


def _message(runtime: Runtime, told: JobEnd | BatchEnd) -> tuple[bytes, signing.Scheme]:
    """A job's end as WaveSpeed tells it; what it does not know in the form of Standard Webhooks."""
    if isinstance(told, JobEnd):
        shown = prediction(told.job, told.ending, base_url=runtime.base_url)
        return msgspec.json.encode(shown), signing.Scheme.V3
    path = f"{runtime.base_url}/api/v3/batches/{told.id}"
    ended = {
        "id": told.id,
        "name": told.name,
        "state": "cancelled" if told.is_cancelled else "completed",
        "created_at": to_rfc3339(told.created_at),
        "finished_at": to_rfc3339(told.finished_at),
        "total": told.completed + told.failed,
        "counts": {"completed": told.completed, "failed": told.failed},
        "failures": told.failures,
        "urls": {"get": path, "jobs": f"{path}/jobs", "results": f"{path}/results"},
    }
    event = {"type": "batch.completed", "timestamp": to_rfc3339(told.finished_at), "data": ended}
    return msgspec.json.encode(event), signing.Scheme.V1


def _retry_after_s(response: httpx.Response) -> float | None:
    given = response.headers.get("retry-after", "")
    return float(given) if response.status_code in _MAY_SAY_WHEN and given.isdecimal() else None
