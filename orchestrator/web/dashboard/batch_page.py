"""One batch: its counts and pace, why jobs of it failed, its jobs as pictures or rows, its rejected lines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from orchestrator.errors import InvalidInput
from orchestrator.flow import batch as flow
from orchestrator.flow.batch import Progress
from orchestrator.store import batch_lines, job_search, tallies, tenants
from orchestrator.store.batch_lines import Wanted
from orchestrator.store.batches import Batch
from orchestrator.store.views import Found
from orchestrator.web import results
from orchestrator.web.dashboard.batches import bar_of, left_ms, per_minute, title_of
from orchestrator.web.dashboard.media import Media, media_of, prompt_of
from orchestrator.web.dashboard.pages import Done, Look, action, guarded, view
from orchestrator.web.dashboard.viewer import Role, find_viewer, require

_PER_PAGE = 24
_REJECTED_PER_PAGE = 20
_LINES_AT_A_LOOK = 20_000
_STATES = (
    ("", "All"),
    ("completed", "Completed"),
    ("failed", "Failed"),
    ("processing", "Processing"),
    ("created", "Created"),
)
_SHAPES = (("table", "Table"), ("gallery", "Gallery"))
_DONE = {
    "pause": "The batch is paused: jobs that are at the provider go on, no further ones are sent.",
    "resume": "The batch goes on.",
    "cancel": "The batch is being cancelled: jobs that were sent already may still end well.",
    "retry": "The failed jobs are sent again.",
}


class Line(msgspec.Struct, frozen=True):
    """A job of the batch with the beginning of its words and the first thing that it made."""

    found: Found
    prompt: str
    picture: Media | None
    more: int
    error: str


async def load(look: Look) -> Mapping[str, Any]:
    """Raises NotFound."""
    batch = await flow.find(look.runtime, look.viewer.sees, look.request.path_params["id"])
    progress = await flow.progress(look.runtime, batch)
    named = await look.runtime.store.read(tenants.names)
    cancelled = (await look.runtime.store.read(tallies.cancelled, batches=[batch.id]))[batch.id]
    return {
        "batch": batch,
        "cancelled": cancelled,
        "title": title_of(batch),
        "tenant": named[batch.tenant_id],
        "bar": bar_of(batch, cancelled),
        "per_minute": per_minute(batch, look.now),
        "left_ms": left_ms(progress),
        "progress": progress,
        "may": _may(look, batch, progress),
        "shape": look.asked("show", "table"),
        "shapes": _SHAPES,
        "states": _STATES,
        **await _jobs(look, batch),
        **await _rejected(look, batch),
    }


async def order(look: Look, form: FormData, *, verb: str) -> Done:
    """Pause, resume, cancel, retry all failures or those of one kind. Raises NotFound and Conflict."""
    batch = await flow.find(look.runtime, look.viewer.sees, look.request.path_params["id"])
    fingerprint = str(form.get("fingerprint", "")) or None
    if verb == "retry" and fingerprint is not None:
        read = look.runtime.store.read
        if not await read(tallies.to_retry, batch=batch.id, fingerprint=fingerprint):
            raise InvalidInput("", "These jobs are not failed any more.")
    await flow.order(
        look.runtime, verb, batch.tenant_id, batch.id, actor=look.viewer.actor, fingerprint=fingerprint
    )
    return Done(_DONE[verb])


async def download(request: Request) -> Response:
    """GET /batches/{id}/results?format=&status=: what the API streams, for whoever is logged in."""
    viewer = await find_viewer(request)
    if viewer is None:
        return RedirectResponse("/login", status_code=303)
    require(viewer, Role.READ)
    ending = results.FORMAT.read(request) or "jsonl"
    named = f'attachment; filename="batch-{request.path_params["id"][-8:]}.{ending}"'
    headers = {
        "content-disposition": named,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return await results.results_of(request, viewer.sees, headers=headers)


async def _jobs(look: Look, batch: Batch) -> Mapping[str, Any]:
    """A page of its lines. A look goes through so many at most, and says where it has stopped."""
    after = _number(look.asked("after"))
    until = after + _LINES_AT_A_LOOK
    store = look.runtime.store
    found = await store.read(
        batch_lines.read,
        wanted=Wanted(
            batch_id=batch.id,
            after=after,
            until=until,
            most=_PER_PAGE + 1,
            state=look.asked("status") or None,
            fingerprint=look.asked("fingerprint") or None,
        ),
    )
    shown = found[:_PER_PAGE]
    listed = await store.read(job_search.read_listed, ids=[one.job.id for one in shown], owner=None)
    prompts = {one.job.id: prompt_of(one.input) for one in listed}
    next_after = shown[-1].job.line if len(found) > _PER_PAGE else None
    is_cut = next_after is None and await store.read(batch_lines.last_line, batch_id=batch.id) > until
    return {
        "lines": [_line(one, prompts.get(one.job.id, "")) for one in shown],
        "after": after,
        "next": {"after": until if is_cut else next_after} if is_cut or next_after else {},
        "looked_until": until if is_cut else None,
    }


def _line(found: Found, prompt: str) -> Line:
    ending = found.ending
    outputs = ending.result.outputs if ending and ending.result else []
    made = [media_of(one, found.job.media) for one in outputs]
    error = ending.error.message if ending and ending.error and found.job.reason else ""
    return Line(found, prompt, made[0] if made else None, max(0, len(made) - 1), error)


async def _rejected(look: Look, batch: Batch) -> Mapping[str, Any]:
    if not batch.rejected:
        return {"rejected": [], "rejected_next": None, "rejected_after": 0}
    after = _number(look.asked("bad_after"))
    found = await look.runtime.store.read(
        batch_lines.read_rejected, batch_id=batch.id, after=after, most=_REJECTED_PER_PAGE + 1
    )
    shown = found[:_REJECTED_PER_PAGE]
    return {
        "rejected": shown,
        "rejected_after": after,
        "rejected_next": shown[-1].line if len(found) > _REJECTED_PER_PAGE else None,
    }


def _may(look: Look, batch: Batch, progress: Progress) -> frozenset[str]:
    """What the batch's state allows this viewer to order; the store asks again."""
    if not look.viewer.can_operate:
        return frozenset()
    is_open = batch.finished_at is None and batch.cancelled_at is None
    is_at_rest = batch.step is None and batch.state in ("open", "paused")
    allowed = {
        "pause": is_open and batch.state == "open",
        "resume": is_open and batch.state == "paused",
        "cancel": is_open,
        "retry": is_at_rest and any(one["reason"] != "cancelled" for one in progress.failures),
        "retry_one": is_at_rest and bool(progress.failures),
    }
    return frozenset(verb for verb, is_allowed in allowed.items() if is_allowed)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


BATCH_PAGE: list[BaseRoute] = [
    Route("/batches/{id}/results", guarded(download), methods=["GET"]),
    view("/batches/{id}", "batch", load),
    *(action(f"/batches/{{id}}/{verb}", partial(order, verb=verb)) for verb in _DONE),
]
