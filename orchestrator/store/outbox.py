"""Writes what webhooks are to be told, in the transaction that makes it true: no dual write.

An end is told to the webhook of the job or batch itself, and to each endpoint of its tenant that has
subscribed to it. Nothing here sends anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.ids import new_id
from orchestrator.lifecycle import Move
from orchestrator.store import deliveries, dialect, many_rows
from orchestrator.store.endpoints import Endpoint
from orchestrator.webhook_events import Event, of_end

JOB_SCHEME, BATCH_SCHEME = "v3", "v1"
"""How the webhook of a single job or batch is told unless its request says otherwise."""


class Listener(msgspec.Struct, frozen=True, gc=False):
    """An endpoint as those see it that have something to tell."""

    id: str
    tenant_id: str
    url: str
    scheme: str
    events: str

    def hears(self, event: Event) -> bool:
        return event in self.events.split(" ")


def listeners(connection: Connection, tenant_ids: set[str]) -> dict[str, list[Listener]]:
    """The enabled endpoints of these tenants, by tenant: what one statement costs each group of ends."""
    wanted = dialect.one_of(connection.dialect.name, "tenant_id")
    found = dialect.fetch(
        connection,
        "SELECT id, tenant_id, url, scheme, events FROM endpoints"
        f" WHERE {wanted} AND disabled_at IS NULL ORDER BY id",
        {"ids": dialect.to_json(sorted(tenant_ids))},
    )
    by_tenant: dict[str, list[Listener]] = defaultdict(list)
    for row in found:
        by_tenant[row[1]].append(Listener(*row))
    return by_tenant


def tell_jobs(connection: Connection, endings: Sequence[Move], *, now: int) -> None:
    """A delivery is named for the job's ending, so that the same end is never told twice."""
    if not endings:
        return
    listening = listeners(connection, {move.after.tenant_id for move in endings})
    told = [
        row
        for move in endings
        if move.after.webhook or move.after.tenant_id in listening
        for row in _of_job(move, listening.get(move.after.tenant_id, ()), now)
    ]
    many_rows.insert_many(connection, "deliveries", told)


def _of_job(move: Move, listening: Sequence[Listener], now: int) -> Iterator[dict[str, Any]]:
    job, events = move.after, of_end(move.after)
    name = f"{job.id}-{job.ending}"
    of_it = {"job_id": job.id, "phase": str(job.phase), "ending": dialect.to_json(move.ending)}
    if job.webhook:
        own = deliveries.pending(
            name,
            job.tenant_id,
            job.webhook,
            event=events[0],
            scheme=job.webhook_scheme or JOB_SCHEME,
            now=now,
        )
        yield own | of_it
    for event in events:
        yield from (
            _for(listener, name, event, now) | of_it for listener in listening if listener.hears(event)
        )


def to_listeners(
    connection: Connection, tenant_id: str, event: Event, *, name: str, now: int
) -> list[dict[str, Any]]:
    """The deliveries of this event to all who hear it, still without `ending` and what they tell of."""
    listening = listeners(connection, {tenant_id}).get(tenant_id, ())
    return [_for(listener, name, event, now) for listener in listening if listener.hears(event)]


def tell_all(connection: Connection, tenant_id: str, event: Event, data: Any, *, now: int) -> None:
    """Tell what is neither a job's nor a batch's to all endpoints of the tenant that hear it."""
    rows = to_listeners(connection, tenant_id, event, name=new_id(now), now=now)
    ending = dialect.to_json(data)
    many_rows.insert_many(connection, "deliveries", [row | {"ending": ending} for row in rows])


def tell_one(
    connection: Connection, endpoint: Endpoint, event: Event, data: Any, *, name: str, now: int
) -> str:
    """Tell it to this endpoint, whatever it hears; answers the delivery's id."""
    listener = Listener(endpoint.id, endpoint.tenant_id, endpoint.url, endpoint.scheme, endpoint.events)
    row = _for(listener, name, event, now)
    many_rows.insert_many(connection, "deliveries", [row | {"ending": dialect.to_json(data)}])
    return str(row["id"])


def delivery_name(name: str, endpoint_id: str, event: Event) -> str:
    """The id of what this endpoint is told of an end, a test or another message of this name."""
    return f"{name}-{endpoint_id}-{event.word}"


def _for(listener: Listener, name: str, event: Event, now: int) -> dict[str, Any]:
    return deliveries.pending(
        delivery_name(name, listener.id, event),
        listener.tenant_id,
        listener.url,
        event=event,
        scheme=listener.scheme,
        now=now,
        endpoint_id=listener.id,
    )
