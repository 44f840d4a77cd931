"""The page of one job: where it is and has been, all that happened to it, what went in and what came out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import NotFound
from orchestrator.flow.batch import find as find_batch
from orchestrator.job import HeldFor, Job, Phase
from orchestrator.store import job_pages
from orchestrator.store.endpoints import shown_url
from orchestrator.store.views import Found
from orchestrator.web.dashboard import media, timeline
from orchestrator.web.dashboard.advice import advice_for
from orchestrator.web.dashboard.pages import Look

_LONGEST_COPIED = 20_000
_LONGEST_INLINE = 1_000_000
_NEXT = {
    Phase.READY: "It is sent as soon as its lane has room, and it is its tenant's turn.",
    Phase.SUBMITTING: "It is being sent right now.",
    Phase.IN_DOUBT: "It may have been sent, and no answer came. It is being looked for in the provider's"
    " history, so that nothing is paid for twice; you need not do anything.",
    Phase.ACCEPTED: "The provider works on it. Its callback is awaited, and it is asked about now and then.",
}
_HELD_BY = {
    "receiving": "is still being received",
    "paused": "is paused",
    "cancelling": "is being cancelled",
}
_UNSENT = frozenset({Phase.HELD, Phase.READY, Phase.WAITING})


async def load(look: Look) -> Mapping[str, Any]:
    read = await look.runtime.store.read(
        job_pages.read_job, job_id=look.request.path_params["id"], owner=look.viewer.sees
    )
    if read is None:
        raise NotFound("There is no such job.")
    job, inputs = read.found.job, _inputs(read.found.input)
    outputs = _outputs(read.found)
    given = media.inputs_of(inputs)
    is_large = sum(len(one.url) for one in (*outputs, *given) if one.is_inline) >= _LONGEST_INLINE
    return {
        "job": job,
        "title": media.title_of(inputs),
        "tenant": read.listed.tenant,
        "batch": read.listed.batch,
        "webhook": shown_url(job.webhook) if job.webhook else "",
        "path_taken": timeline.path(job, read.timeline.events, now=look.now),
        "next_words": await _next_words(look, job),
        "moments": timeline.moments(read.timeline, read.audit),
        "outputs": outputs,
        "given": given,
        "inputs": json.dumps(media.shortened(inputs), indent=2, ensure_ascii=False),
        "long_texts": media.long_texts(inputs),
        "curl": _curl(look, job, read.found.input),
        "error": _error(read.found),
        "advice": advice_for(job.reason) if job.reason else None,
        "may": _allowed(look, job),
        "is_sent": job.phase not in _UNSENT or job.held_for == HeldFor.DOUBT,
        # A page of many megabytes is not sent again every second.
        "is_live": not is_large,
        "why_not_live": "A page with pictures this large is not loaded again by itself." if is_large else "",
    }


async def _next_words(look: Look, job: Job) -> str:
    if job.held_for == HeldFor.BATCH and job.batch_id is not None:
        batch = await find_batch(look.runtime, job.tenant_id, job.batch_id)
        return f"It waits for its batch, which {_HELD_BY.get(batch.state, 'goes on in a moment')}."
    return _NEXT.get(job.phase, "")


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
