"""The routes for lanes and accounts: every tenant may see why its jobs wait, the operator may change it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import policy
from orchestrator.clock import DAY, SECOND, to_rfc3339
from orchestrator.flow import administer
from orchestrator.runtime import Runtime
from orchestrator.store import lane_orders, lanes, views
from orchestrator.store.keys import Key
from orchestrator.store.lanes import HIDDEN_TROUBLE, Account, Lane
from orchestrator.web.context import Context
from orchestrator.web.fields import read_fields
from orchestrator.web.wire import answer

_LONGEST_PAUSE_S = 30 * DAY // SECOND


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without `seconds` it lasts until somebody resumes the lane."""

    seconds: Annotated[int, Meta(ge=1, le=_LONGEST_PAUSE_S)] | None = None
    because: Annotated[str, Meta(max_length=200)] = ""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No field is known."""


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Submissions a minute; null goes back to the settings."""

    per_minute: Annotated[int, Meta(ge=1, le=policy.MOST_OF_A_LIMIT)] | None


class Slots(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tasks at the provider at a time; null goes back to the settings."""

    max_in_flight: Annotated[int, Meta(ge=1, le=policy.MOST_OF_A_LIMIT)] | None


async def read_lanes(request: Request) -> Response:
    """GET /api/v3/lanes: limits, pauses, and why jobs wait."""
    here = Context.of(request)
    return await _all(here, await here.authenticate(request, "read"))


async def pause_lane(request: Request) -> Response:
    """POST /api/v3/lanes/{id}/pause: claims nothing more; what is at the provider goes on."""
    here = Context.of(request)
    by = await here.authenticate_operator(request)
    pause = await read_fields(request, Pause)
    await administer.pause_lane(
        here.runtime,
        by,
        request.path_params["id"],
        for_ms=None if pause.seconds is None else pause.seconds * SECOND,
        because=pause.because or "an operator has paused it",
    )
    return await _all(here, by)


async def resume_lane(request: Request) -> Response:
    """POST /api/v3/lanes/{id}/resume: ends an operator's pause; one that the provider asked for stays."""
    here = Context.of(request)
    by = await here.authenticate_operator(request)
    await read_fields(request, Nothing)
    await administer.resume_lane(here.runtime, by, request.path_params["id"])
    return await _all(here, by)


async def change_lane(request: Request) -> Response:
    """PATCH /api/v3/lanes/{id}: from the next claim on, until it is set back to null."""
    here = Context.of(request)
    by = await here.authenticate_operator(request)
    rate = await read_fields(request, Rate)
    await administer.set_rate(here.runtime, by, request.path_params["id"], rate.per_minute)
    return await _all(here, by)


async def change_account(request: Request) -> Response:
    """PATCH /api/v3/accounts/{id}: from the next claim on, until it is set back to null."""
    here = Context.of(request)
    by = await here.authenticate_operator(request)
    slots = await read_fields(request, Slots)
    await administer.set_slots(here.runtime, by, request.path_params["id"], slots.max_in_flight)
    return await _all(here, by)


async def _all(here: Context, by: Key) -> Response:
    runtime = here.runtime
    accounts = await runtime.store.read(lanes.read_accounts)
    found = await runtime.store.read(lanes.read_lanes)
    counts = await runtime.store.read(views.count_phases, tenant_id=by.tenant_id)
    return answer(
        {
            "accounts": [_account(one, is_whole=by.is_of_first_tenant) for one in accounts],
            "lanes": [_lane(runtime, one) for one in found],
            "phases": counts,
            "bell": "up" if runtime.bell.is_up else "down: jobs are safe, running on the tick",
        }
    )


def _account(one: Account, *, is_whole: bool) -> dict[str, Any]:
    """The provider's own words about the account, such as its balance, are its owner's only."""
    trouble = one.trouble or ""
    return {
        "id": one.id,
        "max_in_flight": one.max_in_flight,
        "is_fixed": bool(one.is_fixed),
        "trouble": trouble if is_whole or not trouble else HIDDEN_TROUBLE,
    }


def _lane(runtime: Runtime, one: Lane) -> dict[str, Any]:
    """The longer of two pauses is told; one that nobody has set an end to has no `paused_until`."""
    now = runtime.clock.now()
    is_paused, until = one.closed_until > now, one.closed_until
    is_operators = one.stopped_until >= one.paused_until
    reason = one.stop_reason if is_operators else one.pause_reason
    return {
        "id": one.id,
        "per_minute": one.per_minute,
        "is_fixed": bool(one.is_fixed),
        "is_paused": is_paused,
        "paused_by": ("operator" if is_operators else "provider") if is_paused else "",
        "paused_until": to_rfc3339(until) if is_paused and until < lane_orders.FOREVER else "",
        "pause_reason": (reason or "") if is_paused else "",
        "callbacks_arrive": runtime.is_pushed(one.id),
    }
