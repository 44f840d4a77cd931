"""What one can do with a batch, and how it gets on."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator import policy
from orchestrator.bell import Kind
from orchestrator.clock import to_rfc3339
from orchestrator.errors import Conflict, NotFound
from orchestrator.runtime import Runtime
from orchestrator.store import audit, batch_progress, batches
from orchestrator.store.audit import Act
from orchestrator.store.batch_progress import Outlook
from orchestrator.store.batches import Batch
from orchestrator.store.idempotency import Once, do_once

_ORDERS = {
    "pause": (batches.PAUSE, "Only a batch that is running can be paused"),
    "resume": (batches.RESUME, "Only a batch that is paused can be resumed"),
    "cancel": (batches.CANCEL, "Only a batch that has not ended can be cancelled"),
    "retry": (
        batches.RETRY,
        "Only a batch that has failed jobs and no other order under way can be retried, and what was"
        " cancelled only by its fingerprint",
    ),
}


class Progress(msgspec.Struct, frozen=True):
    """`per_second` counts ended jobs since the start; `eta_s` is None where nobody can say, and the least
    where more jobs go before its own than were counted; `waiting_for` is "" unless jobs that could be
    sent are kept back, or none may start yet, and then why.
    """

    per_second: float
    eta_s: float | None
    waiting_for: str
    failures: list[dict[str, Any]]
    is_least: bool = False


async def order(
    runtime: Runtime,
    verb: str,
    tenant_id: str,
    batch_id: str,
    *,
    actor: str,
    fingerprint: str | None = None,
    once: Once | None = None,
) -> Batch:
    """pause, resume, cancel or retry. Raises NotFound, Conflict where the batch's state forbids it, and
    Used.
    """
    wanted, otherwise = _ORDERS[verb]
    batch = await find(runtime, tenant_id, batch_id)
    if verb == "cancel" and batch.state == "receiving":
        wanted = batches.DISCARD
    now = runtime.clock.now()
    asked = {
        "order": wanted,
        "batch_id": batch_id,
        "tenant_id": tenant_id,
        "now": now,
        "fingerprint": fingerprint,
    }
    act = Act(tenant_id=tenant_id, actor=actor, action=f"batch.{verb}", subject=batch_id)
    given = {"act": act, "now": now, "do": batches.change, "arguments": asked}
    changed: Batch | None = await runtime.store.write(do_once, once=once, do=audit.audited, arguments=given)
    if changed is None:
        raise Conflict(f"{otherwise}; this one is {batch.public_state}.")
    runtime.bell.ring(Kind.BATCH)
    return changed


async def find(runtime: Runtime, tenant_id: str | None, batch_id: str) -> Batch:
    """With None as the tenant, whoever's it is. Raises NotFound."""
    found = await runtime.store.read(batches.find, tenant_id=tenant_id, batch_id=batch_id)
    if found is None:
        raise NotFound("There is no such batch.")
    return found


async def progress(runtime: Runtime, batch: Batch) -> Progress:
    """From the counters: it costs the same for ten jobs and for a hundred thousand."""
    now = runtime.clock.now()
    outlook = await runtime.store.read(batch_progress.read, batch=batch, now=now)
    eta_s = _eta_s(runtime, batch, outlook, now)
    return Progress(
        per_second=per_second(batch, now),
        eta_s=eta_s,
        waiting_for=" ".join(outlook.reasons),
        failures=outlook.failures,
        is_least=eta_s is not None
        and any(ahead >= batch_progress.AHEAD_UP_TO for ahead in outlook.ahead.values()),
    )


def per_second(batch: Batch, now: int) -> float:
    """Jobs that ended, over the time since it was opened."""
    until = batch.finished_at or now
    elapsed_s = max(1, until - (batch.opened_at or until)) / 1_000
    return (batch.completed + batch.failed) / elapsed_s


def shown(batch: Batch, *, base_url: str) -> dict[str, Any]:
    """The batch as its people see it, in an answer or in a webhook."""
    path = f"{base_url}/api/v3/batches/{batch.id}"
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.public_state,
        "mode": batch.mode,
        "model": batch.model,
        "created_at": to_rfc3339(batch.created_at),
        "finished_at": to_rfc3339(batch.finished_at) if batch.finished_at and batch.has_ended else "",
        "total": batch.total,
        "rejected_lines": batch.rejected,
        "counts": {
            "created": batch.created,
            "processing": batch.processing,
            "completed": batch.completed,
            "failed": batch.failed,
        },
        "progress": (batch.completed + batch.failed) / (batch.total or 1),
        # WaveSpeed tells no price of a task, and a quote made later need not be what was paid.
        "cost": None,
        "urls": {"get": path, "jobs": f"{path}/jobs", "results": f"{path}/results"},
    }


def shown_progress(progress: Progress) -> dict[str, Any]:
    """What takes questions of its own: speed, seconds to go, failures by kind."""
    return {
        "per_second": round(progress.per_second, 3),
        "eta_seconds": None if progress.eta_s is None else round(progress.eta_s, 1),
        "waiting_for": progress.waiting_for,
        "failures": progress.failures,
    }


def _eta_s(runtime: Runtime, batch: Batch, outlook: Outlook, now: int) -> float | None:
    """The longest of what the lanes' limits allow, after those that go before, what was seen while it worked,
    and the time until the last job may start.
    """
    if batch.has_ended:
        return 0.0
    if batch.state != "open" or outlook.is_stopped:
        return None
    by_lane = [0.0]
    sample = outlook.by_lane
    for lane_id, count in sample.items():
        lane = runtime.lanes.get(lane_id)
        if lane is not None:
            rate = policy.rate_per_s(lane.per_minute) * policy.climbed(lane.bucket, now)
            by_lane.append((batch.created * count / sample.total() + outlook.ahead[lane_id]) / rate)
    ended, to_go = batch.completed + batch.failed, batch.created + batch.processing
    by_experience = to_go * outlook.worked_ms / 1_000 / ended if ended else 0.0
    by_schedule = (outlook.last_start - now) / 1_000
    return max(*by_lane, by_experience, by_schedule)
