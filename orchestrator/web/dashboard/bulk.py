"""Actions on many jobs: ordered from a selection or a filter, followed with their progress, and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import FormData

from orchestrator.errors import InvalidInput
from orchestrator.flow import actions as flow
from orchestrator.flow.actions import FASTEST, NewAction
from orchestrator.ids import is_id
from orchestrator.store import job_pages
from orchestrator.store.actions import Action, Matched
from orchestrator.web.dashboard import job_filters
from orchestrator.web.dashboard.pages import Done, Look
from orchestrator.web.dashboard.words import count

_A_PAGE = 50
_WILL = {"redrive": "be retried", "cancel": "be cancelled", "dismiss": "be dismissed", "delete": "be deleted"}


class Shown(msgspec.Struct, frozen=True):
    """An action with its jobs in words; `share` of them was gone through, None where nobody knows."""

    action: Action
    told: str
    share: float | None


async def load(look: Look) -> Mapping[str, Any]:
    before = look.asked("before")
    if before and not is_id(before):
        raise InvalidInput("before", "is no place in this list")
    read = await look.runtime.store.read(
        job_pages.read_actions, owner=look.viewer.sees, before=before, most=_A_PAGE + 1
    )
    shown = [_shown(one, read.tenants) for one in read.actions[:_A_PAGE]]
    return {"actions": shown, "next": shown[-1].action.id if len(read.actions) > _A_PAGE else ""}


async def order(look: Look, form: FormData) -> Done:
    """For the selected jobs, or with `all` for those that match the filter of the page in `asked`."""
    verb = str(form.get("verb", ""))
    ids = tuple(dict.fromkeys(str(one) for one in form.getlist("id") if is_id(str(one))))
    if form.get("all") == "1":
        asked = dict(parse_qsl(str(form.get("asked", "")).partition("?")[2]))
        matched = Matched(filter=job_filters.read_filter(asked, now=look.now))
    elif ids:
        matched = Matched(ids=ids)
    else:
        return Done("Nothing was selected. Select jobs first.", is_trouble=True)
    return await order_action(look, verb=verb, matched=matched, per_minute=str(form.get("per_minute", "")))


async def order_action(look: Look, *, verb: str, matched: Matched, per_minute: str = "") -> Done:
    """Raises InvalidInput."""
    action = await flow.order(
        look.runtime,
        NewAction(
            tenant_id=look.viewer.tenant_id,
            owner_id=look.viewer.sees,
            actor=look.viewer.actor,
            verb=verb,
            matched=matched,
            per_minute=_rate(per_minute),
        ),
    )
    several = "Those that match" if action.expected is None else _jobs(action.expected)
    return Done(f"{several} will {_WILL[verb]}, in the background. Follow it under “Actions on many jobs”.")


async def stop(look: Look, _form: FormData) -> Done:
    action_id = look.request.path_params["id"]
    stopped = await flow.stop(look.runtime, look.viewer.sees, action_id, actor=look.viewer.actor)
    return Done(f"Stopped. What was done stays done: {_jobs(stopped.done)}.")


def _shown(action: Action, names: Mapping[str, str]) -> Shown:
    matched = action.matched
    told = f"{_jobs(len(matched.ids))}, selected one by one"
    if matched.filter is not None:
        told = job_filters.told(matched.filter, names)
    share = (action.done + action.refused) / action.expected if action.expected else None
    return Shown(action, told, share)


def _rate(given: str) -> int | None:
    """Raises InvalidInput."""
    given = given.strip()
    if not given:
        return None
    if not given.isdecimal() or len(given) > 6 or not 1 <= int(given) <= FASTEST:
        raise InvalidInput("per_minute", f"must be a whole number from 1 to {FASTEST}")
    return int(given)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{count(number)} jobs"
