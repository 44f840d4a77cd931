"""The routes for deliveries: what users' webhooks were told, what they answered, and telling them again."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.clock import to_rfc3339
from orchestrator.flow import redeliver as flow
from orchestrator.ids import id_time
from orchestrator.store import delivery_log
from orchestrator.store.delivery_log import Attempt, Dead, Told, Wanted
from orchestrator.store.endpoints import shown_url
from orchestrator.store.idempotency import Once
from orchestrator.web.context import Context
from orchestrator.web.idempotent import answer_once
from orchestrator.web.query import BEFORE, Choice, Switch, Text, Time, limit
from orchestrator.web.wire import answer

STATE = Choice("state", "Only those in this state.", ("pending", "delivered", "dead"))
JOB = Text("job", "Only those of this job.")
BATCH = Text("batch", "Only the end of this batch and those of its jobs.")
LIMIT = limit(default=20, most=100)
DEAD = Choice("state", "Others are sent again one by one.", ("dead",), is_required=True)
SINCE = Time("since", "Those that died then or later.", is_required=True)
UNTIL = Time("until", "Those that died then or earlier; now, if you do not say.")
ENDPOINT = Text("endpoint", "Only those of this standing endpoint.")
DRY_RUN = Switch("dry_run", "Only count them.")


async def list_deliveries(request: Request) -> Response:
    """GET /api/v3/deliveries?state=&job=&batch=&endpoint=&limit=&before=: newest first, before that id."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    wanted = Wanted(
        most=LIMIT.read(request),
        before_id=BEFORE.read(request),
        state=STATE.read(request),
        job_id=JOB.read(request),
        batch_id=BATCH.read(request),
        endpoint_id=ENDPOINT.read(request),
    )
    found = await here.runtime.store.read(delivery_log.newest, tenant_id=key.tenant_id, wanted=wanted)
    return answer({"items": [shown(one) for one in found]})


async def read_delivery(request: Request) -> Response:
    """GET /api/v3/deliveries/{id}: with its attempts."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    found = await flow.find(here.runtime, key.tenant_id, request.path_params["id"])
    attempts = await here.runtime.store.read(delivery_log.attempts_of, delivery_id=found.id)
    return answer(shown(found) | {"attempts": [_attempt(one) for one in attempts]})


async def redeliver(request: Request) -> Response:
    """POST /api/v3/deliveries/{id}/redeliver: one that has ended or waits for a later try, now, same id."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    tenant_id, delivery_id = key.tenant_id, request.path_params["id"]

    async def first(once: Once | None) -> Response:
        told = await flow.redeliver(here.runtime, tenant_id, delivery_id, actor=key.actor, once=once)
        return answer(shown(told))

    async def again(_first_id: str) -> Response:
        return answer(shown(await flow.find(here.runtime, tenant_id, delivery_id)))

    return await answer_once(request, tenant_id, b"", first=first, again=again)


async def redeliver_dead(request: Request) -> Response:
    """POST /api/v3/deliveries/redeliver?state=dead&since=TIME&until=&endpoint=&dry_run=: all of them."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    DEAD.read(request)
    is_dry = DRY_RUN.read(request)
    since = SINCE.must_read(request)
    until = UNTIL.read(request)
    dead = Dead(
        tenant_id=key.tenant_id,
        since=since,
        until=here.runtime.clock.now() if until is None else until,
        endpoint_id=ENDPOINT.read(request),
    )

    async def first(once: Once | None) -> Response:
        if is_dry:
            return answer({"dry_run": True, "count": await flow.count_dead(here.runtime, dead)})
        count = await flow.redeliver_dead(here.runtime, dead, actor=key.actor, once=once)
        return answer({"dry_run": False, "count": count})

    async def again(first_id: str) -> Response:
        """What the first may have left, and nothing that has died since it was sent."""
        left = replace(dead, until=min(dead.until, id_time(first_id)))
        count = await flow.redeliver_dead(here.runtime, left, actor=key.actor)
        return answer({"dry_run": False, "count": count})

    return await answer_once(request, key.tenant_id, b"", first=first, again=again)


def shown(one: Told) -> dict[str, Any]:
    return {
        "id": one.id,
        "job": one.job_id or "",
        "batch": one.batch_id or "",
        "endpoint": one.endpoint_id or "",
        "event": one.event,
        "url": shown_url(one.url),
        "state": one.state,
        "failures": one.failures,
        "attempted": one.attempts,
        "last_status": one.last_status,
        "last_error": one.last_error or "",
        "because": one.because or "",
        "created_at": to_rfc3339(one.created_at),
        "due_at": "" if one.due_at is None else to_rfc3339(one.due_at),
        "finished_at": "" if one.finished_at is None else to_rfc3339(one.finished_at),
    }


def _attempt(one: Attempt) -> dict[str, Any]:
    return msgspec.structs.asdict(one) | {"at": to_rfc3339(one.at), "error": one.error or ""}
