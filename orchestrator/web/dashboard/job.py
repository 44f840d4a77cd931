"""The page of one job: where it is and has been, all that happened to it, what went in and what came out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.errors import NotFound
from orchestrator.lifecycle import HeldFor, Job, Phase
from orchestrator.store import audit, job_search, views
from orchestrator.store.audit import Line
from orchestrator.store.endpoints import shown_url
from orchestrator.store.job_search import Listed
from orchestrator.store.views import Found, Timeline
from orchestrator.web.dashboard import media, timeline
from orchestrator.web.dashboard.advice import advice_for
from orchestrator.web.dashboard.pages import Look

_MOST_LINES = 100
_LONGEST_COPIED = 20_000
_LONGEST_INLINE = 1_000_000
_UNSENT = frozenset({Phase.HELD, Phase.READY, Phase.WAITING})


class Read(msgspec.Struct, frozen=True):
    """All that the page needs of the database."""

    found: Found
    listed: Listed
    timeline: Timeline
    audit: list[Line]


async def load(look: Look) -> Mapping[str, Any]:
    read = await look.runtime.store.read(_read, job_id=look.request.path_params["id"], owner=look.viewer.sees)
    if read is None:
        raise NotFound("There is no such job.")
    job, inputs = read.found.job, _inputs(read.found.input)
    outputs = _outputs(read.found)
    given = media.inputs_of(inputs)
    return {
        "job": job,
        "title": media.prompt_of(read.found.input[: job_search.SHOWN_CHARS]),
        "tenant": read.listed.tenant,
        "batch": read.listed.batch,
        "webhook": shown_url(job.webhook) if job.webhook else "",
        "path_taken": timeline.path(job, read.timeline.events, now=look.now),
        "moments": timeline.moments(read.timeline, read.audit),
        "outputs": outputs,
        "given": given,
        "inputs": json.dumps(media.shortened(inputs), indent=2, ensure_ascii=False),
        "curl": _curl(look, job, read.found.input),
        "error": _error(read.found),
        "advice": advice_for(job.reason) if job.reason else None,
        "may": _allowed(look, job),
        "is_sent": job.phase not in _UNSENT or job.held_for == HeldFor.DOUBT,
        # A page of many megabytes is not sent again every second.
        "is_live": sum(len(one.url) for one in (*outputs, *given) if one.is_inline) < _LONGEST_INLINE,
    }


def _read(connection: Connection, *, job_id: str, owner: str | None) -> Read | None:
    found = views.find_job(connection, tenant_id=owner, job_id=job_id, with_input=True)
    if found is None:
        return None
    (listed,) = job_search.read_listed(connection, ids=[job_id], owner=owner)
    return Read(
        found,
        listed,
        views.read_timeline(connection, job_id=job_id),
        audit.lines_about(connection, subject=job_id, most=_MOST_LINES),
    )


def _allowed(look: Look, job: Job) -> dict[str, bool]:
    """Which buttons are of use now, and this viewer's to press."""
    is_held = job.held_for == HeldFor.DOUBT
    allowed = {
        "redrive": job.phase == Phase.FAILED,
        "dismiss": job.phase == Phase.FAILED and job.dismissed_at is None and job.reason != "cancelled",
        "cancel": not job.is_ended and job.cancel_requested_at is None,
        "check": job.phase == Phase.ACCEPTED,
        "delete": job.is_ended,
    }
    return {name: is_of_use and look.viewer.can_operate for name, is_of_use in allowed.items()} | {
        "resolve": is_held and look.viewer.can_administer,
        "adopt": is_held and look.viewer.is_operator,
    }


def _inputs(text: str) -> dict[str, Any]:
    inputs = json.loads(text)
    return inputs if isinstance(inputs, dict) else {}


def _outputs(found: Found) -> list[media.Media]:
    ending = found.ending
    if found.job.phase != Phase.COMPLETED or ending is None or ending.result is None:
        return []
    return [media.media_of(one, found.job.media) for one in ending.result.outputs]


def _error(found: Found) -> str:
    ending = found.ending
    is_failed = found.job.phase == Phase.FAILED and ending is not None and ending.error is not None
    return ending.error.message if is_failed and ending and ending.error else ""


def _curl(look: Look, job: Job, inputs: str) -> str:
    """The request that makes this job once more; empty where its input is too long to be copied."""
    if len(inputs) > _LONGEST_COPIED:
        return ""
    url = f"{look.here.base_url}/api/{job.api_version}/{job.model}"
    lines = [
        f"curl {shlex.quote(url)}",
        '-H "Authorization: Bearer $ORCHESTRATOR_KEY"',
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(inputs)}",
    ]
    return " \\\n  ".join(lines)
