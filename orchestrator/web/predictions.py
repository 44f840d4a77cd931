"""The WaveSpeed-compatible routes for predictions: submit, result, history, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import strict_json
from orchestrator.clock import from_rfc3339
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.flow.create import NewJob, create, read_scheme
from orchestrator.flow.delete import delete_jobs
from orchestrator.flow.prediction import prediction
from orchestrator.flow.schedule import Schedule, read_schedule
from orchestrator.flow.unanswered import mark_unanswered
from orchestrator.job import Job
from orchestrator.store import history as stored
from orchestrator.store import views
from orchestrator.store.creation import Created
from orchestrator.store.history import HistoryFilter
from orchestrator.store.views import STATES, Found
from orchestrator.web.allowed import allowed_methods
from orchestrator.web.context import Context
from orchestrator.web.idempotent import REPLAYED, hash_request, read_idempotency
from orchestrator.web.patience import Caller, until_gone
from orchestrator.web.query import read_once
from orchestrator.web.wire import answer, read_body

SYNC_LIMIT_S = 90.0
MOST_PER_PAGE = 100
# The database walks over every page before: who wants to go further back says `created_before`.
DEEPEST_PAGE = 100
MOST_DELETED = 1_000
# WaveSpeed's clients know three more, which no job of ours is ever in.
_STATUSES = (*STATES, "cancelled", "timeout", "deleted")
_NOTHING_ASKED: Mapping[str, str] = {}


async def submit(request: Request) -> Response:
    """POST /api/{version}/{model}: stored when this answers."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    model: str = request.path_params["model"]
    body = await read_body(request)
    inputs = strict_json.decode_object(body)
    is_sync = _flag(inputs, "enable_sync_mode")
    idempotency = read_idempotency(request, body)
    request_hash = None if idempotency else hash_request(request, key.id, body)
    asked = read_once(request) if request.scope["query_string"] else _NOTHING_ASKED
    new = NewJob(
        tenant_id=key.tenant_id,
        model=model,
        api_version=request.path_params["version"],
        inputs=inputs,
        webhook=asked.get("webhook"),
        webhook_scheme=read_scheme(asked.get("webhook_scheme")),
        idempotency=idempotency,
        request_hash=request_hash,
        schedule=read_schedule(asked, Schedule()),
    )
    with Caller(request) as caller:
        created = await create(here.runtime, new, is_wanted=caller.is_there)
    if caller.is_gone and request_hash is not None:
        await mark_unanswered(here.runtime, created.job.id, request_hash)
    elif is_sync:
        await _await_end(request, created.job, request_hash)
    if is_sync or created.is_replay or created.is_joined:
        found = await _find(here, key.tenant_id, created.job.id)
        return answer(_sync_shown(here, found) if is_sync else _shown(here, found), headers=_told(created))
    return answer(prediction(created.job, None, base_url=here.base_url))


async def no_model(request: Request) -> Response:
    """POST to any other path under /api, and to those that take other methods only."""
    await Context.of(request).authenticate(request, "submit")
    if allowed_methods(request):
        raise HTTPException(405)
    raise NotFound("There is no such path; a model is named like `wavespeed-ai/flux-dev`.")


async def result(request: Request) -> Response:
    """GET /api/{version}/predictions/{id}[/result]."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    return answer(_shown(here, await _find(here, key.tenant_id, request.path_params["id"])))


async def history(request: Request) -> Response:
    """POST /api/{version}/predictions: a page of the newest predictions."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    asked = strict_json.decode_object(await read_body(request) or b"{}")
    page = _whole(asked, "page", default=1, most=DEEPEST_PAGE)
    wanted = _history_filter(asked, page)
    found = await here.runtime.store.search(stored.list_jobs, tenant_id=key.tenant_id, wanted=wanted)
    items = [_shown(here, one, with_inputs=wanted.with_input) for one in found]
    return answer({"page": page, "items": items})


async def delete(request: Request) -> Response:
    """POST /api/{version}/predictions/delete: only predictions that have ended are deleted."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    asked = strict_json.decode_object(await read_body(request))
    ids = asked.get("ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise InvalidInput("ids", "must be a list of prediction ids")
    if len(ids) > MOST_DELETED:
        raise InvalidInput("ids", f"at most {MOST_DELETED} at a time")
    deleted = await delete_jobs(here.runtime, key.tenant_id, ids, actor=key.actor)
    return answer({"deleted_count": deleted})


async def _await_end(request: Request, job: Job, request_hash: str | None) -> None:
    """Until the job has ended, 90 s have passed, or the client has gone: then the job is marked."""
    runtime = Context.of(request).runtime
    if job.is_ended:
        return
    gone = asyncio.create_task(until_gone(request))
    ended = asyncio.create_task(runtime.waits.for_end(job.id, timeout_s=SYNC_LIMIT_S))
    try:
        await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() and request_hash is not None:
            await mark_unanswered(runtime, job.id, request_hash)
    finally:
        gone.cancel()
        ended.cancel()


def _sync_shown(here: Context, found: Found) -> dict[str, Any]:
    """The final prediction, or after 90 s what WaveSpeed says then."""
    shown = _shown(here, found)
    if not found.job.is_ended:
        shown["status"] = "processing"
        shown["code"] = 5004
        shown["error"] = (
            "Sync mode timed out after 90 seconds. The prediction is still processing asynchronously."
        )
    return shown


def _told(created: Created) -> dict[str, str] | None:
    if created.is_replay:
        return REPLAYED
    return {"idempotent-joined": "true"} if created.is_joined else None


async def _find(here: Context, tenant_id: str, job_id: str) -> Found:
    found = await here.runtime.store.read(views.find_job, tenant_id=tenant_id, job_id=job_id)
    if found is None:
        raise NotFound("There is no such prediction.")
    return found


def _shown(here: Context, found: Found, *, with_inputs: bool = False) -> dict[str, Any]:
    inputs = found.input if with_inputs else None
    return prediction(found.job, found.ending, base_url=here.base_url, inputs=inputs)


def _flag(inputs: dict[str, Any], name: str) -> bool:
    given = inputs.get(name)
    if given is not None and not isinstance(given, bool):
        raise InvalidInput(name, "must be true or false")
    return bool(given)


def _history_filter(asked: dict[str, Any], page: int) -> HistoryFilter:
    page_size = _whole(asked, "page_size", default=20, most=MOST_PER_PAGE)
    return HistoryFilter(
        skip=(page - 1) * page_size,
        page_size=page_size,
        model=_text(asked, "model"),
        state=_status(asked),
        created_after=_time(asked, "created_after"),
        created_before=_time(asked, "created_before"),
        with_input=_flag(asked, "include_inputs"),
    )


def _status(asked: dict[str, Any]) -> str | None:
    given = _text(asked, "status")
    if given is not None and given not in _STATUSES:
        raise InvalidInput("status", f"must be one of {', '.join(_STATUSES)}")
    return given


def _whole(asked: dict[str, Any], name: str, *, default: int, most: int) -> int:
    given = asked.get(name)
    if given is None:
        return default
    if isinstance(given, float) and given.is_integer():
        given = int(given)  # JSON knows one kind of number
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= most:
        raise InvalidInput(name, f"must be a whole number from 1 to {most}")
    return given


def _text(asked: dict[str, Any], name: str) -> str | None:
    given = asked.get(name)
    if given is not None and not isinstance(given, str):
        raise InvalidInput(name, "must be a text")
    return given or None


def _time(asked: dict[str, Any], name: str) -> int | None:
    given = _text(asked, name)
    if given is None:
        return None
    try:
        return from_rfc3339(given)
    except ValueError:
        raise InvalidInput(name, "must be a time such as 2026-01-02T03:04:05Z") from None
