"""The list of jobs: filtered by what stands in the URL, a page at a time, with what each of them made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.errors import InvalidInput
from orchestrator.ids import is_id
from orchestrator.job import Ending, Job
from orchestrator.store import job_pages
from orchestrator.store.job_search import LOOKED_THROUGH, Listed
from orchestrator.web.dashboard import job_filters
from orchestrator.web.dashboard.media import Media, first_output, prompt_of
from orchestrator.web.dashboard.pages import Look

_A_PAGE = 50
_PHASES = (
    ("Public states", ("created", "processing", "completed", "failed")),
    ("Stages", ("held", "ready", "waiting", "submitting", "in_doubt", "accepted")),
)


class Row(msgspec.Struct, frozen=True):
    """A line of the table; `took` in ms, since it was stored."""

    job: Job
    tenant: str
    batch: str
    prompt: str
    output: Media | None
    error: str
    took: int | None


async def load(look: Look) -> Mapping[str, Any]:
    asked = dict(look.request.query_params)
    wanted = job_filters.read_filter(asked, now=look.now)
    read = await look.runtime.store.read(
        job_pages.read_list, wanted=wanted, owner=look.viewer.sees, before=_before(look), most=_A_PAGE
    )
    page, told = read.page, job_filters.told(wanted, read.tenants)
    is_slow = page.is_cut or bool(wanted.words)
    return {
        "rows": [row(one, now=look.now) for one in page.items],
        "page": page,
        "wanted": wanted,
        "chips": job_filters.chips(asked, wanted),
        "phases": _PHASES,
        "ages": job_filters.SINCE,
        "models": sorted({one.job.model for one in page.items}),
        "tenants": read.tenants,
        "running": read.running,
        "looked_through": LOOKED_THROUGH,
        "told": told,
        "choices": [
            (verb, name, job_filters.question(verb, read.matching, told))
            for verb, name in job_filters.VERBS.items()
        ],
        # What takes a look through thousands is not repeated every second.
        "is_live": not is_slow,
        "why_not_live": "A search through thousands of jobs is not repeated by itself." if is_slow else "",
    }


def row(one: Listed, *, now: int) -> Row:
    job = one.job
    until = job.finished_at or (now if job.started_at else None)
    return Row(
        job=job,
        tenant=one.tenant,
        batch=one.batch,
        prompt=prompt_of(one.input),
        output=first_output(one.ending, job.media) if job.phase == "completed" else None,
        error=_error(one.ending) if job.phase == "failed" else "",
        took=None if until is None else max(0, until - job.created_at),
    )


def _before(look: Look) -> str:
    """A place that a page of ours gave: an id, or a line of a batch. Raises InvalidInput."""
    before = look.asked("before")
    is_line = before.isdecimal() and len(before) < 10
    if before and not (is_line if look.asked("batch") else is_id(before)):
        raise InvalidInput("before", "is no place in this list")
    return before


def _error(ending: str) -> str:
    try:
        error = msgspec.json.decode(ending, type=Ending).error
    except msgspec.DecodeError:
        return ""
    return "" if error is None else error.message
