"""The routes for deliveries: what users' webhooks were told, what they answered, and telling them again."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.clock import to_rfc3339
from orchestrator.errors import InvalidInput
from orchestrator.flow import redeliver as flow
from orchestrator.flow.schedule import read_time
from orchestrator.store import delivery_log
from orchestrator.store.delivery_log import Attempt, Dead, Told, Wanted
from orchestrator.store.endpoints import shown_url
from orchestrator.web import jobs
from orchestrator.web.context import Context
from orchestrator.web.wire import answer

_MOST = 100
_STATES = ("pending", "delivered", "dead")
_SWITCHES = {"": False, "false": False, "0": False, "true": True, "1": True}


async def list_deliveries(request: Request) -> Response:
    """GET /api/v3/deliveries?state=&job=&batch=&endpoint=&limit=&before=: newest first, before that id."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    asked = request.query_params
    if asked.get("state") and asked["state"] not in _STATES:
        raise InvalidInput("state", f"must be one of {', '.join(_STATES)}")
    wanted = Wanted(
        most=jobs.number(request, "limit", default=20, most=_MOST),
        before_id=asked.get("before") or None,
        state=asked.get("state") or None,
        job_id=asked.get("job") or None,
        batch_id=asked.get("batch") or None,
        endpoint_id=asked.get("endpoint") or None,
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
    """POST /api/v3/deliveries/{id}/redeliver: one that is dead or delivered, now, under the same id."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    identifier = request.path_params["id"]
    return answer(shown(await flow.redeliver(here.runtime, key.tenant_id, identifier, actor=f"key {key.id}")))


async def redeliver_dead(request: Request) -> Response:
    """POST /api/v3/deliveries/redeliver?state=dead&since=TIME&until=&endpoint=&dry_run=: all of them."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    asked = request.query_params
    if asked.get("state") != "dead":
        raise InvalidInput("state", "must be dead: others are sent again one by one")
    is_dry = _SWITCHES.get(asked.get("dry_run", ""))
    if is_dry is None:
        raise InvalidInput("dry_run", "must be true or false")
    since = read_time(asked, "since")
    if since is None:
        raise InvalidInput("since", "must be given")
    until = read_time(asked, "until")
    dead = Dead(
        tenant_id=key.tenant_id,
        since=since,
        until=here.runtime.clock.now() if until is None else until,
        endpoint_id=asked.get("endpoint") or None,
    )
    if is_dry:
        count = await flow.count_dead(here.runtime, dead)
    else:
        count = await flow.redeliver_dead(here.runtime, dead, actor=f"key {key.id}")
    return answer({"dry_run": is_dry, "count": count})


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
