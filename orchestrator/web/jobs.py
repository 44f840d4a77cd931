"""Our own view of predictions: phases, attempts and timelines, dead letters, and what one can do."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.clock import to_rfc3339
from orchestrator.decision import Audited
from orchestrator.errors import NotFound
from orchestrator.flow.cancel import cancel
from orchestrator.flow.dismiss import dismiss
from orchestrator.flow.poll import check_now
from orchestrator.flow.prediction import prediction
from orchestrator.flow.redrive import redrive
from orchestrator.job import Attempt, Job
from orchestrator.store import history, views
from orchestrator.store.history import HistoryFilter
from orchestrator.store.idempotency import Once
from orchestrator.store.views import Found, Timeline
from orchestrator.web.context import Context
from orchestrator.web.idempotent import answer_once
from orchestrator.web.query import BEFORE, Choice, Text, limit
from orchestrator.web.wire import answer

STATUS = Choice("status", "Only those in this state.", tuple(views.STATES))
MODEL = Text("model", "Only those of this model.")
LIMIT = limit(default=20, most=100)


async def list_jobs(request: Request) -> Response:
    """GET /api/v3/jobs?status=&model=&limit=&before=: newest first; `before` is the last id of a page."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    wanted = HistoryFilter(
        before_id=BEFORE.read(request),
        page_size=LIMIT.read(request),
        model=MODEL.read(request),
        state=STATUS.read(request),
    )
    found = await here.runtime.store.search(history.list_jobs, tenant_id=key.tenant_id, wanted=wanted)
    return answer({"items": [shown(here, one) for one in found]})


async def read_job(request: Request) -> Response:
    """GET /api/v3/jobs/{id}: the job with everything that happened to it."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    found = await find(here, key.tenant_id, request.path_params["id"], with_input=True)
    timeline = await here.runtime.store.read(views.read_timeline, job=found.job)
    return answer(shown(here, found, with_inputs=True) | _timeline(timeline))


async def list_dead_letters(request: Request) -> Response:
    """GET /api/v3/dead-letters?limit=&before=: failed jobs that somebody should look at."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    found = await here.runtime.store.read(
        views.list_dead,
        tenant_id=key.tenant_id,
        before_id=BEFORE.read(request),
        most=LIMIT.read(request),
    )
    return answer({"items": [shown(here, one) for one in found]})


async def cancel_job(request: Request) -> Response:
    """POST /api/v3/jobs/{id}/cancel: `may_be_billed` says whether the provider may have it already."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    cancelled = await cancel(here.runtime, key.tenant_id, request.path_params["id"], actor=key.actor)
    found = await find(here, key.tenant_id, cancelled.job.id)
    return answer(shown(here, found) | {"may_be_billed": cancelled.may_be_billed})


async def redrive_job(request: Request) -> Response:
    """POST /api/v3/jobs/{id}/redrive: another attempt of a failed job, or the release of a held one."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    tenant_id, job_id = key.tenant_id, request.path_params["id"]

    async def first(once: Once | None) -> Response:
        job = await redrive(here.runtime, tenant_id, job_id, actor=key.actor, once=once)
        return await again(job.id)

    async def again(_id: str) -> Response:
        return answer(shown(here, await find(here, tenant_id, job_id)))

    return await answer_once(request, tenant_id, b"", first=first, again=again)


async def dismiss_job(request: Request) -> Response:
    """POST /api/v3/jobs/{id}/dismiss: takes a failed job off the dead letters."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    job = await dismiss(here.runtime, key.tenant_id, request.path_params["id"], actor=key.actor)
    return answer(shown(here, await find(here, key.tenant_id, job.id)))


async def check_job(request: Request) -> Response:
    """POST /api/v3/jobs/{id}/check: ask the provider about it now, whatever the schedule says."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    found = await find(here, key.tenant_id, request.path_params["id"])
    await check_now(here.runtime, found.job.id, audited=Audited(key.actor, "check"))
    return answer(shown(here, found))


async def find(here: Context, tenant_id: str | None, job_id: str, *, with_input: bool = False) -> Found:
    """The tenant's job, or with None anybody's. Raises NotFound."""
    found = await here.runtime.store.read(
        views.find_job, tenant_id=tenant_id, job_id=job_id, with_input=with_input
    )
    if found is None:
        raise NotFound("There is no such job.")
    return found


def shown(here: Context, found: Found, *, with_inputs: bool = False) -> dict[str, Any]:
    """The prediction, and what is ours of the job."""
    job = found.job
    inputs = found.input if with_inputs else None
    return prediction(job, found.ending, base_url=here.base_url, inputs=inputs) | {
        "phase": str(job.phase),
        "reason": str(job.reason or ""),
        "attempt": job.attempt,
        "tries": job.tries,
        "lane": job.lane_id,
        "api_version": job.api_version,
        "finished_at": _time(job.finished_at),
        "due_at": _time(job.due_at),
        "dismissed_at": _time(job.dismissed_at),
        "cancel_requested": job.cancel_requested_at is not None,
        "seconds": _seconds(job),
        "priority": job.priority,
        "batch": job.batch_id or "",
        "line": job.line,
        "custom_id": job.custom_id or "",
        "fingerprint": job.fingerprint or "",
    }


def _seconds(job: Job) -> float | None:
    """From creation to the end."""
    return None if job.finished_at is None else (job.finished_at - job.created_at) / 1_000


def _timeline(timeline: Timeline) -> dict[str, Any]:
    return {
        "events": [
            {
                "at": to_rfc3339(event.at),
                "verb": event.verb,
                "from_phase": event.from_phase or "",
                "to_phase": event.to_phase,
                "attempt": event.attempt,
                "source": event.source,
                "because": event.because,
            }
            for event in timeline.events
        ],
        "attempts": [_attempt(attempt) for attempt in timeline.attempts],
        "callbacks": [
            {
                "attempt": one.attempt,
                "verdict": one.verdict,
                "count": one.count,
                "first_at": to_rfc3339(one.first_at),
                "last_at": to_rfc3339(one.last_at),
            }
            for one in timeline.callbacks
        ],
        "deliveries": [
            {
                "id": one.id,
                "state": one.state,
                "failures": one.failures,
                "created_at": to_rfc3339(one.created_at),
                "due_at": _time(one.due_at),
                "finished_at": _time(one.finished_at),
            }
            for one in timeline.deliveries
        ],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "provider_id": attempt.provider_id or "",
        "claimed_at": to_rfc3339(attempt.claimed_at),
        "sent_at": _time(attempt.sent_at),
        "answered_at": _time(attempt.answered_at),
        "ended_at": _time(attempt.ended_at),
        "ended_by": str(attempt.ended_by or ""),
        "outcome": attempt.outcome or "",
        "checks": attempt.checks,
        "next_check_at": _time(attempt.check_at),
        "excerpt": attempt.excerpt,
    }


def _time(at: int | None) -> str:
    return "" if at is None else to_rfc3339(at)
