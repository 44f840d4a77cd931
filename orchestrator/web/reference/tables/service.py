"""The routes for whoever watches the server, the description itself, and the provider's door."""

from __future__ import annotations

from orchestrator.errors import Busy, TooLarge, Unauthorized, UnsupportedBody
from orchestrator.web import callbacks, health, metrics
from orchestrator.web.reference import pages
from orchestrator.web.reference.endpoint import Body, Endpoint, Group, Plain
from orchestrator.web.reference.shapes import service as shapes

RECEIVE = Endpoint(
    name="callback",
    method="POST",
    path="/callbacks/{provider}/{job}/{attempt:int}/{token}",
    handler=callbacks.receive,
    scope=None,
    summary="Take what the provider says of a job",
    about="For the provider alone, which gets this URL with each job. What is not signed is a hint to look.",
    body=Body({"application/json": Plain({"description": "The provider's prediction."})}),
    gives=shapes.Taken,
    refuses=(Unauthorized, Busy, TooLarge, UnsupportedBody),
)

GROUP = Group(
    "Service",
    "Whether the server is well, what a monitoring system asks, this description, and the provider's door.",
    (
        Endpoint(
            name="health",
            method="GET",
            path="/health",
            handler=health.health,
            scope=None,
            summary="Whether this process answers",
            gives=shapes.Health,
        ),
        Endpoint(
            name="ready",
            method="GET",
            path="/ready",
            handler=health.ready,
            scope=None,
            summary="Whether the database can be reached and has the newest tables",
            gives=shapes.Ready,
            refuses=(Busy,),
        ),
        Endpoint(
            name="metrics",
            method="GET",
            path="/metrics",
            handler=metrics.read_metrics,
            scope="read",
            summary="Read what a monitoring system wants to know, as Prometheus reads it",
            about="With a key of the tenant `default` of all tenants and of the processes themselves, else of"
            " the key's own tenant.",
            gives={"text/plain": Plain({"type": "string"})},
            refuses=(Busy,),
        ),
        Endpoint(
            name="openapi",
            method="GET",
            path="/openapi.json",
            handler=pages.document,
            scope=None,
            summary="Read this description as OpenAPI 3.1",
            gives={"application/json": Plain({"type": "object"})},
        ),
        Endpoint(
            name="docs",
            method="GET",
            path="/docs",
            handler=pages.page,
            scope=None,
            summary="Read this description as a page",
            gives={"text/html": Plain({"type": "string"})},
        ),
        RECEIVE,
    ),
)
