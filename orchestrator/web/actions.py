"""The routes for actions: one order for many jobs, which ones it would touch, how it gets on, and its end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.clock import to_rfc3339
from orchestrator.errors import InvalidInput
from orchestrator.flow import actions as flow
from orchestrator.flow.actions import FASTEST, NewAction
from orchestrator.flow.schedule import read_time
from orchestrator.store import actions
from orchestrator.store.actions import MOST_IDS, Action, Matched
from orchestrator.store.idempotency import Once
from orchestrator.store.job_filter import PHASES, JobFilter
from orchestrator.web.context import Context
from orchestrator.web.fields import read_with_body
from orchestrator.web.idempotent import answer_once
from orchestrator.web.query import BEFORE, limit
from orchestrator.web.wire import answer

Text = Annotated[str, Meta(max_length=200)]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
LIMIT = limit(default=20, most=100)


class ActionFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is given must be true of a job; `dead` are dead letters, `doubt` are jobs held in doubt."""

    phase: Annotated[Text, Meta(extra_json_schema={"enum": [*PHASES, ""]})] = ""
    doubt: bool = False
    dead: bool = False
    model: Text = ""
    batch: Text = ""
    fingerprint: Text = ""
    since: Time | None = None
    until: Time | None = None
    q: Text = ""


class WantedAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `ids` or `filter`; `per_minute` is as fast as it goes unless it is given."""

    verb: Literal["redrive", "cancel", "dismiss", "delete"]
    ids: Annotated[tuple[Text, ...], Meta(extra_json_schema={"maxItems": MOST_IDS})] = ()
    filter: ActionFilter | None = None
    per_minute: Annotated[int, Meta(ge=1, le=FASTEST)] | None = None
    dry_run: bool = False


async def create(request: Request) -> Response:
    """POST /api/v3/actions: stored when this answers; with `dry_run` only counted."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    wanted, body = await read_with_body(request, WantedAction)
    new = NewAction(
        tenant_id=key.tenant_id,
        owner_id=key.tenant_id,
        actor=key.actor,
        verb=wanted.verb,
        matched=Matched(ids=wanted.ids, filter=None if wanted.filter is None else _filter(wanted.filter)),
        per_minute=wanted.per_minute,
    )

    async def first(once: Once | None) -> Response:
        if wanted.dry_run:
            return answer({"dry_run": True, "expected": await flow.count(here.runtime, new)})
        return answer(shown(await flow.order(here.runtime, new, once=once)))

    async def again(action_id: str) -> Response:
        return answer(shown(await flow.find(here.runtime, key.tenant_id, action_id)))

    return await answer_once(request, key.tenant_id, body, first=first, again=again)


async def list_actions(request: Request) -> Response:
    """GET /api/v3/actions?limit=&before=: newest first; `before` is the last id of a page."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    found = await here.runtime.store.read(
        actions.newest,
        tenant_id=key.tenant_id,
        before=BEFORE.read(request) or "",
        most=LIMIT.read(request),
    )
    return answer({"items": [shown(one) for one in found]})


async def read_action(request: Request) -> Response:
    """GET /api/v3/actions/{id}"""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    return answer(shown(await flow.find(here.runtime, key.tenant_id, request.path_params["id"])))


async def stop_action(request: Request) -> Response:
    """POST /api/v3/actions/{id}/stop: what was done stays done."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    actor, action_id = key.actor, request.path_params["id"]
    return answer(shown(await flow.stop(here.runtime, key.tenant_id, action_id, actor=actor)))


def shown(action: Action) -> dict[str, Any]:
    return {
        "id": action.id,
        "verb": action.verb,
        "state": action.state,
        "actor": action.actor,
        "ids": len(action.matched.ids),
        "filter": None if action.matched.filter is None else _told(action.matched.filter),
        "per_minute": action.per_minute,
        "expected": action.expected,
        "done": action.done,
        "refused": action.refused,
        "created_at": to_rfc3339(action.created_at),
        "finished_at": "" if action.finished_at is None else to_rfc3339(action.finished_at),
    }


def _filter(given: ActionFilter) -> JobFilter:
    if given.phase and given.phase not in PHASES:
        raise InvalidInput("filter.phase", f"must be one of {', '.join(PHASES)}")
    times = {f"filter.{name}": value for name, value in msgspec.structs.asdict(given).items()}
    return JobFilter(
        phase=given.phase,
        is_in_doubt=given.doubt,
        is_dead=given.dead,
        model=given.model,
        batch_id=given.batch,
        fingerprint=given.fingerprint,
        since=read_time(times, "filter.since"),
        until=read_time(times, "filter.until"),
        words=given.q.strip(),
    )


def _told(wanted: JobFilter) -> dict[str, Any]:
    """As it was given, without what was not."""
    told = {
        "phase": wanted.phase,
        "doubt": wanted.is_in_doubt,
        "dead": wanted.is_dead,
        "model": wanted.model,
        "batch": wanted.batch_id,
        "fingerprint": wanted.fingerprint,
        "since": "" if wanted.since is None else to_rfc3339(wanted.since),
        "until": "" if wanted.until is None else to_rfc3339(wanted.until),
        "q": wanted.words,
    }
    return {name: value for name, value in told.items() if value}
