"""The routes that go on answering: what happens, as it happens."""

from __future__ import annotations

from orchestrator.errors import NotFound, TooManyStreams
from orchestrator.web import events
from orchestrator.web.event_stream import NAMES, RESET
from orchestrator.web.reference.endpoint import Endpoint, Events, Group
from orchestrator.web.reference.shapes.events import Reset, StreamedEvent

_STREAM = {"text/event-stream": Events((*NAMES, RESET), (StreamedEvent, Reset))}

GROUP = Group(
    "Events",
    "Streams of Server-Sent Events. Who was cut off comes back with the last `id`, and misses nothing.",
    (
        Endpoint(
            name="events",
            method="GET",
            path="/api/v3/events",
            handler=events.stream,
            scope="read",
            summary="Follow your jobs and batches",
            about="""From now on, or on from the last event that you have got; it has no end. An event `reset`
says that the log does not reach back to there, so that everything is to be looked at anew.""",
            query=(events.BATCH, events.JOB, events.TYPES, events.QUERY),
            headers=(events.HEADER,),
            gives=_STREAM,
            refuses=(NotFound, TooManyStreams),
        ),
        Endpoint(
            name="job_events",
            method="GET",
            path="/api/{version:version}/predictions/{id}/events",
            handler=events.stream_of_job,
            scope="read",
            summary="Follow one job until it has ended",
            about="From its beginning, or on from the last event that you have got.",
            query=(events.TYPES, events.QUERY),
            headers=(events.HEADER,),
            gives=_STREAM,
            refuses=(TooManyStreams,),
        ),
    ),
)
