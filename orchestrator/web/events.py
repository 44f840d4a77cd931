"""The routes that go on answering: everything of a tenant, of a batch, or of one job, as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import InvalidInput
from orchestrator.flow.listen import Feed, Subject, check_subject
from orchestrator.store import event_log
from orchestrator.store.event_log import START, Cursor
from orchestrator.web.context import Context
from orchestrator.web.event_stream import NAMES, EventStream
from orchestrator.web.query import Text, Words


@dataclass(frozen=True)
class LastSeen:
    """The `id` of the last event that a client has got; left empty it is none."""

    name: str
    about: str

    def read(self, given: Mapping[str, str]) -> Cursor | None:
        """Raises InvalidInput."""
        text = given.get(self.name)
        cursor = event_log.parse_cursor(text) if text else None
        if text and cursor is None:
            raise InvalidInput(self.name, "must be the id of an event of this server")
        return cursor

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^({event_log.CURSOR.pattern})?$"}


BATCH = Text("batch", "Only those of this batch and of its jobs.")
JOB = Text("job", "Only those of this job.")
TYPES = Words("types", "Only these.", NAMES)
HEADER = LastSeen("Last-Event-ID", "What comes is what came after the event with this `id`.")
QUERY = LastSeen("last_event_id", "The same, for clients that can set no header.")


async def stream(request: Request) -> Response:
    """GET /api/v3/events?batch=&job=&types=&last_event_id=: from now on, or on from `Last-Event-ID`."""
    batch_id, job_id = BATCH.read(request), JOB.read(request)
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
    names = TYPES.read(request)
    told, asked = HEADER.read(request.headers), QUERY.read(request.query_params)
    since = told or asked
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
