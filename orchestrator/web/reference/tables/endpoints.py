"""The routes for standing webhook endpoints."""

from __future__ import annotations

from orchestrator.errors import Conflict
from orchestrator.web import endpoints
from orchestrator.web.query import IDEMPOTENCY_KEY
from orchestrator.web.reference import bodies
from orchestrator.web.reference.endpoint import Body, Endpoint, Group
from orchestrator.web.reference.shapes import endpoints as shapes

_PATH = "/api/v3/endpoints/{id}"

GROUP = Group(
    "Endpoints",
    "Standing webhooks of a tenant: each is told of every event that it asks for, whoever made the job.",
    (
        Endpoint(
            name="create_endpoint",
            method="POST",
            path="/api/v3/endpoints",
            handler=endpoints.create,
            scope="admin",
            summary="Make an endpoint",
            about="The answer shows its secret. A tenant has at most 20 endpoints.",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(
                {"application/json": bodies.WantedEndpoint},
                example={"url": "https://example.com/hooks", "events": ["job.completed", "job.failed"]},
            ),
            gives=shapes.NewWebhookEndpoint,
            refuses=(Conflict,),
            leads_to=(
                "endpoint",
                "change_endpoint",
                "remove_endpoint",
                "rotate_endpoint_secret",
                "endpoint_secret",
                "test_endpoint",
            ),
        ),
        Endpoint(
            name="list_endpoints",
            method="GET",
            path="/api/v3/endpoints",
            handler=endpoints.list_endpoints,
            scope="read",
            summary="List endpoints, oldest first",
            gives=shapes.WebhookEndpoints,
        ),
        Endpoint(
            name="endpoint",
            method="GET",
            path=_PATH,
            handler=endpoints.read_endpoint,
            scope="read",
            summary="Read an endpoint",
            gives=shapes.WebhookEndpoint,
        ),
        Endpoint(
            name="change_endpoint",
            method="PATCH",
            path=_PATH,
            handler=endpoints.change,
            scope="admin",
            summary="Change, disable or enable an endpoint",
            about="What is not given stays. A new URL gets what has not been delivered to the old one, too.",
            body=Body({"application/json": bodies.EndpointChange}, example={"events": ["batch.completed"]}),
            gives=shapes.WebhookEndpoint,
        ),
        Endpoint(
            name="remove_endpoint",
            method="DELETE",
            path=_PATH,
            handler=endpoints.remove,
            scope="admin",
            summary="Remove an endpoint",
            about="What has not been delivered to it is given up.",
            gives=shapes.RemovedWebhookEndpoint,
        ),
        Endpoint(
            name="rotate_endpoint_secret",
            method="POST",
            path=f"{_PATH}/rotate-secret",
            handler=endpoints.rotate_secret,
            scope="admin",
            summary="Give an endpoint a new secret",
            about="""For a day the old one signs as well; in the scheme `v3`, which has room for one,
the attempts of a delivery take turns: the new one signs the first.""",
            headers=(IDEMPOTENCY_KEY,),
            gives=shapes.RotatedWebhookEndpoint,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="endpoint_secret",
            method="GET",
            path=f"{_PATH}/secret",
            handler=endpoints.read_secret,
            scope="admin",
            summary="Read an endpoint's secret",
            gives=shapes.EndpointSecret,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="test_endpoint",
            method="POST",
            path=f"{_PATH}/test",
            handler=endpoints.send_test,
            scope="admin",
            summary="Send an endpoint a test message",
            headers=(IDEMPOTENCY_KEY,),
            gives=shapes.SentTest,
            refuses=(Conflict,),
        ),
    ),
)
