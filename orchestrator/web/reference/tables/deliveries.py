"""The routes for deliveries: what your webhooks were told."""

from __future__ import annotations

from orchestrator.errors import Conflict
from orchestrator.web import deliveries
from orchestrator.web.query import BEFORE, IDEMPOTENCY_KEY
from orchestrator.web.reference.endpoint import Endpoint, Group
from orchestrator.web.reference.shapes import deliveries as shapes

GROUP = Group(
    "Deliveries",
    "What your webhooks were told, and what they answered. What is not heard is repeated for about 76 hours.",
    (
        Endpoint(
            name="list_deliveries",
            method="GET",
            path="/api/v3/deliveries",
            handler=deliveries.list_deliveries,
            scope="read",
            summary="List deliveries, newest first",
            query=(
                deliveries.STATE,
                deliveries.JOB,
                deliveries.BATCH,
                deliveries.ENDPOINT,
                deliveries.LIMIT,
                BEFORE,
            ),
            gives=shapes.Deliveries,
        ),
        Endpoint(
            name="redeliver_dead",
            method="POST",
            path="/api/v3/deliveries/redeliver",
            handler=deliveries.redeliver_dead,
            scope="submit",
            summary="Send again all that died in a time",
            about="Repeated under its `Idempotency-Key` it sends what the first request may have left, and"
            " nothing that has died since.",
            query=(
                deliveries.DEAD,
                deliveries.SINCE,
                deliveries.UNTIL,
                deliveries.ENDPOINT,
                deliveries.DRY_RUN,
            ),
            headers=(IDEMPOTENCY_KEY,),
            gives=shapes.Redelivered,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="delivery",
            method="GET",
            path="/api/v3/deliveries/{id}",
            handler=deliveries.read_delivery,
            scope="read",
            summary="Read a delivery with its attempts",
            gives=shapes.Delivery,
        ),
        Endpoint(
            name="redeliver",
            method="POST",
            path="/api/v3/deliveries/{id}/redeliver",
            handler=deliveries.redeliver,
            scope="submit",
            summary="Send a delivery again",
            about="One that is dead or delivered, now, under the same `webhook-id`.",
            headers=(IDEMPOTENCY_KEY,),
            gives=shapes.DeliverySummary,
            refuses=(Conflict,),
        ),
    ),
)
