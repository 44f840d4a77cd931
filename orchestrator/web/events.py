"""The routes that go on answering: everything of a tenant, of a batch, or of one job, as it happens."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import InvalidInput
from orchestrator.flow.listen import Feed, Subject, check_subject
from orchestrator.store import event_log
from orchestrator.store.event_log import START, Cursor
from orchestrator.web.context import Context
from orchestrator.web.event_stream import NAMES, EventStream


async def stream(request: Request) -> Response:
    """GET /api/v3/events?batch=&job=&types=&last_event_id=: from now on, or on from `Last-Event-ID`."""
    asked = request.query_params
    batch_id, job_id = asked.get("batch") or None, asked.get("job") or None
    if batch_id and job_id:
        raise InvalidInput("job", "cannot be given beside `batch`")
    return await _open(request, batch_id=batch_id, job_id=job_id, start=None)


async def stream_of_job(request: Request) -> Response:
    """GET /api/{version}/predictions/{id}/events: from its beginning until it has ended."""
    return await _open(request, batch_id=None, job_id=request.path_params["id"], start=START)


async def _open(
    request: Request, *, batch_id: str | None, job_id: str | None, start: Cursor | None
) -> Response:
    """`start` is where it begins unless the client says; without one it is now, and has no end."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    names, since = _names(request), _last_seen(request)
    subject = Subject(tenant_id=key.tenant_id, batch_id=batch_id, job_id=job_id)
    await check_subject(here.runtime, subject)
    newest = await here.runtime.store.read(event_log.newest_cursor)
    is_reset = since is not None and since > newest  # the database is an older one now
    since = since or start or newest
    return EventStream(
        Feed(here.runtime, subject, newest if is_reset else since, until_end=start is not None),
        names=names,
        is_reset=is_reset,
        may_go_on=lambda: here.authenticate(request, "read"),
    )


def _names(request: Request) -> frozenset[str]:
    given = [name for name in request.query_params.get("types", "").split(",") if name]
    if unknown := sorted(set(given) - set(NAMES)):
        raise InvalidInput("types", f"knows {', '.join(NAMES)}, and not {unknown[0][:50]!r}")
    return frozenset(given or NAMES)


def _last_seen(request: Request) -> Cursor | None:
    given = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if not given:
        return None
    cursor = event_log.parse_cursor(given)
    if cursor is None:
        raise InvalidInput("Last-Event-ID", "must be the id of an event of this server")
    return cursor
