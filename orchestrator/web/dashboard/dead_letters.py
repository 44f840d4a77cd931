"""Dead letters by their kind: how many, what happened, what to do about it, and doing it to all of a kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData

from orchestrator.errors import InvalidInput
from orchestrator.store import dead_letters
from orchestrator.store.actions import Matched
from orchestrator.store.dead_letters import COUNTED
from orchestrator.store.job_filter import JobFilter
from orchestrator.web.dashboard.advice import advice_for
from orchestrator.web.dashboard.bulk import order_action
from orchestrator.web.dashboard.pages import Done, Look

_VERBS = ("redrive", "dismiss")
_MOST_GROUPS = 100


async def load(look: Look) -> Mapping[str, Any]:
    found = await look.runtime.store.read(dead_letters.read_groups, owner=look.viewer.sees)
    return {
        "groups": [(one, advice_for(one.reason)) for one in found.groups[:_MOST_GROUPS]],
        "others": max(0, len(found.groups) - _MOST_GROUPS),
        "total": sum(one.count for one in found.groups),
        "is_cut": found.is_cut,
        "counted": COUNTED,
    }


async def order(look: Look, form: FormData) -> Done:
    """Retry or dismiss all dead letters of a kind, at a rate. Raises InvalidInput."""
    verb, fingerprint = (str(form.get(name, "")) for name in ("verb", "fingerprint"))
    if verb not in _VERBS or not fingerprint.isalnum():
        raise InvalidInput("verb", f"must be one of {', '.join(_VERBS)}, for a kind of failures")
    matched = Matched(filter=JobFilter(fingerprint=fingerprint, is_dead=True))
    return await order_action(look, verb=verb, matched=matched, per_minute=str(form.get("per_minute", "")))
