"""Deliveries: what users' webhooks were told, how their receivers are, and telling them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData

from orchestrator.clock import DAY, HOUR, SECOND
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.flow import redeliver as flow
from orchestrator.store import board, delivery_log, delivery_search
from orchestrator.store.delivery_log import Attempt, Dead
from orchestrator.store.delivery_search import Asked, Listed
from orchestrator.store.endpoints import shown_url
from orchestrator.web.dashboard.pages import Done, Look
from orchestrator.web.dashboard.words import count

_SHOWN = 50
_FILTERS = ("state", "host", "job", "batch", "endpoint")
_STATES = ("pending", "delivered", "dead")
_RANGES = {
    "1h": ("hour", HOUR),
    "24h": ("24 hours", DAY),
    "7d": ("7 days", 7 * DAY),
    "30d": ("30 days", 30 * DAY),
}


async def load(look: Look) -> Mapping[str, Any]:
    """The newest that match the filter, their receivers, and how many a repetition would send."""
    read = look.runtime.store.read
    page = await read(delivery_search.search, asked=_asked(look), most=_SHOWN)
    return {
        "page": page,
        "hosts": await read(delivery_search.receivers, tenant_id=look.viewer.sees),
        "states": _STATES,
        "filters": {name: look.asked(name) for name in _FILTERS},
        "is_filtered": any(look.asked(name) for name in _FILTERS),
        "is_first": not look.asked("before"),
        "ranges": [(name, label) for name, (label, _) in _RANGES.items()],
        "again": await _again(look),
        "looked_through": delivery_search.LOOKED_THROUGH,
        "receivers_of": delivery_search.RECEIVERS_OF,
        "shown_url": shown_url,
        "outcome": outcome,
        "overdue_ms": delivery_search.OVERDUE_MS,
    }


async def load_one(look: Look) -> Mapping[str, Any]:
    """One delivery with its attempts. Raises NotFound."""
    found = await _find(look)
    attempts = await look.runtime.store.read(delivery_log.attempts_of, delivery_id=found.id)
    return {
        "one": found,
        "is_far": delivery_log.is_far(found.due_at, look.now),
        "attempts": attempts[::-1],
        "request": _request(found, attempts),
        "shown_url": shown_url,
        "outcome": outcome,
        "overdue_ms": delivery_search.OVERDUE_MS,
    }


async def redeliver(look: Look, _form: FormData) -> Done:
    """One that has ended, or waits for a later attempt."""
    found = await _find(look)
    await flow.redeliver(look.runtime, found.tenant_id, found.id, actor=look.viewer.actor)
    return Done("It is sent now, under the same webhook-id. Its earlier attempts stay in the list.")


async def redeliver_dead(look: Look, form: FormData) -> Done:
    """All that were given up within the range."""
    since = look.now - _range(str(form.get("again", "")))
    owners = await look.runtime.store.read(
        delivery_search.owners_of_dead, since=since, tenant_id=look.viewer.sees
    )
    sent = 0
    for owner in owners:
        dead = Dead(tenant_id=owner, since=since, until=look.now)
        sent += await flow.redeliver_dead(look.runtime, dead, actor=look.viewer.actor)
    if not sent:
        return Done("There was nothing to send again.", go="/deliveries")
    told = "1 webhook is" if sent == 1 else f"{count(sent)} webhooks are"
    return Done(f"{told} sent again now, each with its whole schedule before it.", go="/deliveries")


def outcome(status: int | None, error: str | None) -> str:
    """What came of an attempt, in a few words."""
    if status is None:
        return error or "no answer"
    return f"answered {status}"


def _asked(look: Look) -> Asked:
    state = look.asked("state")
    if state and state not in _STATES:
        raise InvalidInput("state", f"must be one of {', '.join(_STATES)}")
    return Asked(
        tenant_id=look.viewer.sees,
        before_id=look.asked("before") or None,
        job_id=look.asked("job") or None,
        batch_id=look.asked("batch") or None,
        endpoint_id=look.asked("endpoint") or None,
        host=look.asked("host").lower() or None,
        state=state or None,
    )


async def _again(look: Look) -> Mapping[str, Any] | None:
    """What sending again all of a range would do, before it is done; None while nobody asks."""
    asked = look.asked("again")
    if not asked:
        return None
    since = look.now - _range(asked)
    number = await look.runtime.store.read(board.dead_deliveries, since=since, tenant_id=look.viewer.sees)
    told = f"{count(number)} or more" if number >= board.COUNTED_UP_TO else count(number)
    return {"range": asked, "label": _RANGES[asked][0], "count": number, "told": told, "is_one": number == 1}


def _range(asked: str) -> int:
    if asked not in _RANGES:
        raise InvalidInput("again", f"must be one of {', '.join(_RANGES)}")
    return _RANGES[asked][1]


async def _find(look: Look) -> Listed:
    found = await look.runtime.store.read(
        delivery_search.find, delivery_id=look.request.path_params["id"], tenant_id=look.viewer.sees
    )
    if found is None:
        raise NotFound("There is no such delivery.")
    return found


def _request(found: Listed, attempts: list[Attempt]) -> str:
    """What the receiver got, but for what is secret or may hold a secret."""
    at = attempts[-1].at if attempts else found.created_at
    headers = {
        "content-type": "application/json",
        "webhook-id": found.id,
        "webhook-timestamp": str(at // SECOND),
        "webhook-signature": f"{found.scheme},…",
    }
    return "\n".join(
        [f"POST {shown_url(found.url)}", *(f"{name}: {value}" for name, value in headers.items())]
    )
