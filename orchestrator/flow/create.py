"""Takes a new job: checks it before anything is paid, stores it, and rings for the workers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from orchestrator import lifecycle, strict_json
from orchestrator.bell import Kind
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.crash import crashpoint
from orchestrator.errors import InvalidInput, KeyOutlived, KeyUsed, Refused, TooMany
from orchestrator.flow.schedule import Schedule
from orchestrator.ids import new_id
from orchestrator.job import HeldFor, Job, Phase
from orchestrator.net.guard import BlockedUrl, check_url
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.signing import Scheme
from orchestrator.store.creation import Created, Creation, find_replay
from orchestrator.store.idempotency import Idempotency
from orchestrator.store.lanes import lane_id

_WEBHOOK_FIELDS = ("webhook_url", "webhook")


class Place(msgspec.Struct, frozen=True):
    """Where a job stands in a batch."""

    batch_id: str
    line: int
    custom_id: str | None


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came: `inputs` is the decoded body, `webhook` the query's."""

    tenant_id: str
    model: str
    api_version: str
    inputs: dict[str, Any]
    webhook: str | None = None
    webhook_scheme: str | None = None
    idempotency: Idempotency | None = None
    request_hash: str | None = None
    """Of the whole request; given when it may join an earlier one whose answer was lost."""
    schedule: Schedule = Schedule()
    place: Place | None = None
    """Given for a line of a batch, which is held until the batch is complete."""


async def create(runtime: Runtime, new: NewJob, *, is_wanted: Callable[[], bool] | None = None) -> Created:
    """Stored when this returns. Raises InvalidInput, KeyUsed, KeyOutlived, TooMany, Busy, and Unwanted where
    its turn came when `is_wanted` said no.
    """
    created = await _store(runtime, new, is_wanted)
    if created.is_conflict:
        raise KeyUsed()
    if created.is_gone:
        raise KeyOutlived()
    if created.is_full:
        raise TooMany()
    crashpoint("created")
    if created.job.phase == Phase.READY:
        runtime.bell.ring(Kind.SUBMIT)
    return created


async def _store(runtime: Runtime, new: NewJob, is_wanted: Callable[[], bool] | None) -> Created:
    try:
        creation = prepare(runtime, new)
    except Refused:
        # What was right may be wrong by now, such as an input of a model that has become known.
        replay = await _find_replay(runtime, new)
        if replay is None:
            raise
        return replay
    return await runtime.store.create(creation, is_wanted=is_wanted)


async def _find_replay(runtime: Runtime, new: NewJob) -> Created | None:
    if new.idempotency is None:
        return None
    return await runtime.store.read(find_replay, tenant_id=new.tenant_id, request=new.idempotency)


def prepare(runtime: Runtime, new: NewJob) -> Creation:
    """Check the request and make the row that will be stored. Raises InvalidInput."""
    inputs = dict(new.inputs)
    # How we answer: the provider is always asked to call back.
    if not isinstance(inputs.pop("enable_sync_mode", None), bool | None):
        raise InvalidInput("enable_sync_mode", "must be true or false")
    webhook = _take_webhook(runtime, inputs, new.webhook)
    inputs = runtime.catalogue.check(new.model, new.api_version, inputs)
    media = runtime.catalogue.media_class(new.model)
    now = runtime.clock.now()
    job = Job(
        id=new_id(now),
        tenant_id=new.tenant_id,
        lane_id=lane_id(ACCOUNT, media),
        model=new.model,
        api_version=new.api_version,
        media=media,
        priority=new.schedule.priority,
        phase=Phase.HELD,
        held_for=HeldFor.BATCH,
        created_at=now,
        input_hash=input_hash(runtime.catalogue, new.model, new.api_version, inputs),
        batch_id=new.place.batch_id if new.place else None,
        line=new.place.line if new.place else None,
        custom_id=new.place.custom_id if new.place else None,
        not_before=new.schedule.not_before,
        start_by=new.schedule.start_by,
        finish_by=new.schedule.finish_by,
        webhook=webhook,
        webhook_scheme=new.webhook_scheme if webhook else None,
    )
    return Creation(
        job=_placed(job, now),
        input=strict_json.encode(inputs).decode(),
        idempotency=new.idempotency,
        may_join=new.request_hash if webhook is None else None,
    )


def _placed(job: Job, now: int) -> Job:
    """In the phase that it is stored in: held in a batch, else waiting for its time, or ready. Of an upload
    nothing expires before all of it is there: it may still come to nothing, and nothing is told of it then.
    """
    return job if job.batch_id is not None else lifecycle.release(job, now=now).after


def input_hash(catalogue: Catalogue, model: str, api_version: str, inputs: dict[str, Any]) -> str:
    """Equal for inputs that ask the same of the same model, however they were written."""
    canonical = catalogue.canonical_input(model, api_version, inputs)
    text = strict_json.encode_sorted([model, canonical])
    return hashlib.sha256(text).hexdigest()[:32]


def _take_webhook(runtime: Runtime, inputs: dict[str, Any], from_query: str | None) -> str | None:
    """The query's webhook, or the body's, which is no input of the model. Each that is given must be good,
    and the same.
    """
    found = from_query or None
    for field in _WEBHOOK_FIELDS:
        given = inputs.pop(field, None)
        if given is None or given == "":
            continue
        if not isinstance(given, str):
            raise InvalidInput(field, "must be a URL")
        check_webhook(runtime, given, field=field)
        if found not in (None, given):
            raise InvalidInput(field, "is not the webhook that is given beside it: say one")
        found = given
    if from_query:
        check_webhook(runtime, from_query, field="webhook")
    return found


def read_scheme(given: str | None) -> str | None:
    """How a webhook is to be told. Raises InvalidInput; None or "" is the usual way."""
    if given and given not in tuple(Scheme):
        raise InvalidInput("webhook_scheme", f"must be {' or '.join(Scheme)}")
    return given or None


def check_webhook(runtime: Runtime, url: str, *, field: str) -> None:
    """Raise InvalidInput for a URL to which nothing may be delivered; "" is none at all."""
    try:
        if url:
            check_url(url, runtime.address_policy)
    except BlockedUrl as blocked:
        raise InvalidInput(field, "must be a public https:// URL", cause=str(blocked.cause)) from blocked
