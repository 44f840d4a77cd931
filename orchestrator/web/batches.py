"""The routes for bulk work: send a batch, see how it gets on, pause, resume, cancel, retry what failed."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import InvalidInput
from orchestrator.flow import batch as flow
from orchestrator.flow.create import check_webhook, read_scheme
from orchestrator.flow.lines import LONGEST_NAME, NewBatch, check_name
from orchestrator.flow.receive import Source, check, receive
from orchestrator.flow.schedule import BULK, Schedule, read_schedule
from orchestrator.store import batch_lines, batches, tallies
from orchestrator.store.batch_lines import Rejected, Wanted
from orchestrator.store.batches import Batch
from orchestrator.store.idempotency import Once
from orchestrator.web import jobs
from orchestrator.web.context import Context
from orchestrator.web.idempotent import REPLAYED, answer_once
from orchestrator.web.lines import StreamedLines, read_document
from orchestrator.web.query import (
    BEFORE,
    IDEMPOTENCY_KEY,
    SCHEME,
    SWITCHES,
    Choice,
    Parameter,
    Switch,
    Text,
    Whole,
    limit,
    schedule,
)
from orchestrator.web.wire import answer

PARAMETERS: tuple[Parameter, ...] = (
    Text("name", f"Your name for the batch, of at most {LONGEST_NAME} characters."),
    Text("model", "For lines that name none."),
    Choice(
        "mode",
        "`atomic`: one bad line refuses all. `partial`: the good lines are taken, the bad ones reported.",
        ("atomic", "partial"),
        default="atomic",
    ),
    Text("webhook", "Told once, when the whole batch has ended.", format="uri"),
    Text("job_webhook", "Told of each job whose line has no `webhook` of its own.", format="uri"),
    SCHEME,
    Switch("strict", "Refuse models that are not in the catalogue."),
    Switch("dry_run", "Check every line, store nothing."),
    *schedule(priority=BULK),
)
LIMIT = limit(default=20, most=100)
LIMIT_OF_JOBS = limit(default=100, most=500)
AFTER = Whole(name="after", about="Only lines after this one.", default=0, least=0, most=10**9 - 1)
STATUS = jobs.STATUS
FINGERPRINT = Text("fingerprint", "Only failures of this kind.")
CUSTOM_ID = Text("custom_id", "Only the line with this `custom_id`.")
OF_JOBS = (STATUS, FINGERPRINT, CUSTOM_ID, LIMIT_OF_JOBS, AFTER)
_TEXTS = ("name", "model", "mode", "webhook", "job_webhook", "webhook_scheme")
_KNOWN = frozenset({*(one.name for one in PARAMETERS), "defaults"})


async def create(request: Request) -> Response:
    """POST /api/v3/batches: a JSON document of inputs, or JSONL; stored as a whole when this answers."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    idempotency_key = IDEMPOTENCY_KEY.read(request)
    source: Source
    given: dict[str, Any] = dict(request.query_params)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_document = media_type == "application/json"
    if is_document:
        source, more = await read_document(request)
        twice = next((name for name in more if name in given), None)
        if twice is not None:
            raise InvalidInput(twice, "is given twice, in the query and in the document")
        given |= more
    else:
        source = StreamedLines(request)
    is_dry = _switch(given, "dry_run")
    new = _new_batch(here, given, tenant_id=key.tenant_id, is_bare=is_document)
    if is_dry:
        checked = await check(here.runtime, new, source)
        return answer(
            {
                "dry_run": True,
                "total": checked.total,
                "accepted": checked.total - len(checked.rejected),
                "rejected": _rejected(checked.rejected),
            }
        )
    # A document says more than its inputs, and is here as a whole.
    said = [source.digest() if is_document else "", sorted(request.query_params.items())]
    request_hash = hashlib.sha256(msgspec.json.encode(said))
    new = msgspec.structs.replace(new, idempotency_key=idempotency_key, request_hash=request_hash.hexdigest())
    received = await receive(here.runtime, new, source)
    return answer(
        await _with_progress(here, received.batch) | {"rejected": _rejected(received.rejected)},
        headers=REPLAYED if received.is_replay else None,
    )


async def list_batches(request: Request) -> Response:
    """GET /api/v3/batches?limit=&before=: newest first; `before` is the last id of a page."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    found = await here.runtime.store.read(
        batches.newest,
        tenant_id=key.tenant_id,
        before_id=BEFORE.read(request),
        most=LIMIT.read(request),
    )
    return answer({"items": [flow.shown(one, base_url=here.base_url) for one in found]})


async def read_batch(request: Request) -> Response:
    """GET /api/v3/batches/{id}: with its failures grouped by kind."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    batch = await flow.find(here.runtime, key.tenant_id, request.path_params["id"])
    return answer(await _with_progress(here, batch))


async def list_jobs(request: Request) -> Response:
    """GET /api/v3/batches/{id}/jobs?status=&fingerprint=&custom_id=&limit=&after=: in line order."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    batch = await flow.find(here.runtime, key.tenant_id, request.path_params["id"])
    wanted = Wanted(
        batch_id=batch.id,
        after=AFTER.read(request),
        most=LIMIT_OF_JOBS.read(request),
        state=STATUS.read(request),
        fingerprint=FINGERPRINT.read(request),
        custom_id=CUSTOM_ID.read(request),
    )
    found = await here.runtime.store.read(batch_lines.read, wanted=wanted)
    is_full = len(found) == wanted.most
    return answer(
        {
            "items": [jobs.shown(here, one) for one in found],
            "next": found[-1].job.line if is_full else None,
        }
    )


async def order(request: Request) -> Response:
    """POST /api/v3/batches/{id}/pause, /resume or /cancel: a state, which twice is as once."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    verb, batch_id = request.url.path.rpartition("/")[2], request.path_params["id"]
    batch = await flow.order(here.runtime, verb, key.tenant_id, batch_id, actor=key.actor)
    return answer(await _with_progress(here, batch))


async def retry_failed(request: Request) -> Response:
    """POST /api/v3/batches/{id}/retry-failed?fingerprint=: what fails again is not retried by a replay."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    fingerprint, batch_id = FINGERPRINT.read(request), request.path_params["id"]

    async def first(once: Once | None) -> Response:
        before = await flow.find(here.runtime, key.tenant_id, batch_id)
        retrying = await here.runtime.store.read(tallies.to_retry, batch=before.id, fingerprint=fingerprint)
        if fingerprint and not retrying:
            raise InvalidInput("fingerprint", "names no failures of this batch")
        batch = await flow.order(
            here.runtime,
            "retry",
            key.tenant_id,
            batch_id,
            actor=key.actor,
            fingerprint=fingerprint,
            once=once,
        )
        return answer(await _with_progress(here, batch) | {"retrying": retrying})

    async def again(_first_id: str) -> Response:
        batch = await flow.find(here.runtime, key.tenant_id, batch_id)
        return answer(await _with_progress(here, batch) | {"retrying": 0})

    return await answer_once(request, key.tenant_id, b"", first=first, again=again)


def _new_batch(here: Context, given: dict[str, Any], *, tenant_id: str, is_bare: bool) -> NewBatch:
    stranger = next((name for name in given if name not in _KNOWN), None)
    if stranger is not None:
        raise InvalidInput(stranger[:80], "is not known here")
    texts = {name: _text(given, name) for name in _TEXTS}
    defaults = given.get("defaults")
    defaults = {} if defaults is None else defaults
    if not isinstance(defaults, dict):
        raise InvalidInput("defaults", "must be an object, in a JSON document")
    if texts["mode"] not in ("", "atomic", "partial"):
        raise InvalidInput("mode", "must be atomic or partial")
    check_name(texts["name"])
    for name in ("webhook", "job_webhook"):
        check_webhook(here.runtime, texts[name], field=name)
    return NewBatch(
        tenant_id=tenant_id,
        api_version="v3",
        name=texts["name"],
        is_atomic=texts["mode"] != "partial",
        is_strict=_switch(given, "strict"),
        model=texts["model"],
        inputs=defaults,
        schedule=read_schedule(given, Schedule(priority=BULK)),
        webhook=texts["webhook"] or None,
        job_webhook=texts["job_webhook"] or None,
        webhook_scheme=read_scheme(texts["webhook_scheme"]),
        is_bare=is_bare,
    )


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(name, "must be a text")
    return value or ""


def _switch(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if isinstance(value, str):
        value = SWITCHES.get(value)
    if not isinstance(value, bool):
        raise InvalidInput(name, "must be true or false")
    return value


def _rejected(rejected: list[Rejected]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(one) | {"custom_id": one.custom_id or ""} for one in rejected]


async def _with_progress(here: Context, batch: Batch) -> dict[str, Any]:
    progress = await flow.progress(here.runtime, batch)
    return flow.shown(batch, base_url=here.base_url) | flow.shown_progress(progress)
