"""The list of batches: how far each is, how fast it goes, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from markupsafe import Markup

from orchestrator.clock import SECOND
from orchestrator.flow import batch as flow
from orchestrator.flow.batch import Progress
from orchestrator.store import batches, tallies, tenants
from orchestrator.store.batches import Batch
from orchestrator.web.dashboard import charts
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.words import count

_PER_PAGE = 20
_MINUTE_S = 60


class Row(msgspec.Struct, frozen=True):
    """A batch with what is reckoned of it; `left_ms` is None where nobody can say, and `is_least` where it
    may be far more.
    """

    batch: Batch
    title: str
    tenant: str
    cancelled: int
    bar: Markup
    per_minute: float | None
    left_ms: float | None
    is_least: bool
    waiting_for: str


async def load(look: Look) -> Mapping[str, Any]:
    """A page of them, newest first."""
    store = look.runtime.store
    found = await store.read(
        batches.newest,
        tenant_id=look.viewer.sees,
        before_id=look.asked("before") or None,
        most=_PER_PAGE + 1,
    )
    shown = found[:_PER_PAGE]
    named = await store.read(tenants.names)
    cancelled = await store.read(tallies.cancelled, batches=[one.id for one in shown])
    return {
        "rows": [
            await _row(look, one, tenant=named[one.tenant_id], cancelled=cancelled[one.id]) for one in shown
        ],
        "has_many_tenants": look.viewer.is_operator,
        "is_later_page": bool(look.asked("before")),
        "next": {"before": shown[-1].id} if len(found) > _PER_PAGE else {},
    }


def title_of(batch: Batch) -> str:
    """The name that its people gave it; those are free to give none."""
    return batch.name or "Batch without a name"


def bar_of(batch: Batch, cancelled: int) -> Markup:
    """Its jobs by state, side by side; so many of the failed ones were cancelled."""
    failed = batch.failed - cancelled
    shares = [
        ("good", float(batch.completed)),
        ("bad", float(failed)),
        ("idle", float(cancelled)),
        ("busy", float(batch.processing)),
        ("rest", float(batch.created)),
    ]
    told = [f"{count(batch.completed)} completed", f"{count(failed)} failed"]
    told += [f"{count(cancelled)} cancelled"] if cancelled else []
    return charts.parts(shares, label=f"{', '.join(told)} of {count(batch.total)}")


def per_minute(batch: Batch, now: int) -> float | None:
    """Jobs that ended per minute since it was opened; None before the first has, and of a cancelled batch,
    whose jobs all end at once.
    """
    if batch.cancelled_at is not None:
        return None
    speed = flow.per_second(batch, now)
    return speed * _MINUTE_S if speed else None


def left_ms(progress: Progress) -> float | None:
    """How long it will take from now on; 0 when all are sent, and no less than a second before."""
    if not progress.eta_s:
        return progress.eta_s
    return max(float(SECOND), progress.eta_s * SECOND)


async def _row(look: Look, batch: Batch, *, tenant: str, cancelled: int) -> Row:
    # What has ended waits for nothing: no question is asked about it.
    progress = None if batch.has_ended else await flow.progress(look.runtime, batch)
    return Row(
        batch=batch,
        title=title_of(batch),
        tenant=tenant,
        cancelled=cancelled,
        bar=bar_of(batch, cancelled),
        per_minute=per_minute(batch, look.now),
        left_ms=left_ms(progress) if progress else None,
        is_least=progress is not None and progress.is_least,
        waiting_for=progress.waiting_for if progress else "",
    )
