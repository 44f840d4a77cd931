"""The body of a delivery: the same bytes at every attempt, in the form of its scheme."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.clock import to_rfc3339
from orchestrator.flow import batch as flow
from orchestrator.flow.prediction import prediction
from orchestrator.signing import Scheme
from orchestrator.store.batches import Batch
from orchestrator.store.deliveries import BatchEnd, Due, JobEnd, Notice

# Longer ones hold embedded media; who listens for the end of a job need not get them with it.
LONGEST_INPUT = 64 * 1024


def message(due: Due, *, base_url: str) -> bytes:
    """v1 is an event of Standard Webhooks; v3 is the bare object, as WaveSpeed tells a prediction."""
    told = _told(due.told, due.tenant_id, base_url)
    if due.scheme == Scheme.V3:
        return msgspec.json.encode(told)
    event = {"type": due.event, "timestamp": to_rfc3339(due.created_at), "data": told}
    return msgspec.json.encode(event)


def _told(told: JobEnd | BatchEnd | Notice, tenant_id: str, base_url: str) -> Any:
    """What a GET of that object answers, and what a job's listener needs to know it by."""
    if isinstance(told, JobEnd):
        return prediction(told.job, told.ending, base_url=base_url) | _known_by(told)
    if isinstance(told, BatchEnd):
        return _batch(told, tenant_id, base_url)
    return told.data


def _known_by(told: JobEnd) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if len(told.input) <= LONGEST_INPUT:
        known["input"] = msgspec.Raw(told.input.encode())
    if told.job.batch_id is not None:
        known |= {
            "batch": told.job.batch_id,
            "line": told.job.line,
            "custom_id": told.job.custom_id or "",
        }
    return known


def _batch(told: BatchEnd, tenant_id: str, base_url: str) -> dict[str, Any]:
    batch = Batch(
        id=told.id,
        tenant_id=tenant_id,
        name=told.name,
        mode=told.mode,
        model=told.model,
        state="open",
        created_at=told.created_at,
        request_hash="",
        opened_at=told.opened_at,
        finished_at=told.finished_at,
        cancelled_at=told.finished_at if told.is_cancelled else None,
        completed=told.completed,
        failed=told.failed,
        rejected=told.rejected,
    )
    progress = flow.Progress(flow.per_second(batch, told.finished_at), 0.0, "", told.failures)
    return flow.shown(batch, base_url=base_url) | flow.shown_progress(progress)
