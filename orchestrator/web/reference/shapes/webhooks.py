"""What webhooks are told: in the scheme `v1` an event, in `v3` its `data` alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from orchestrator.web.reference.shapes.batches import Batch
from orchestrator.web.reference.shapes.endpoints import WebhookEndpoint
from orchestrator.web.reference.shapes.predictions import PredictionTold


class JobEnd(Struct):
    type: Literal["job.completed", "job.failed", "job.dead_lettered"]
    timestamp: str
    data: PredictionTold


class BatchEnd(Struct):
    type: Literal["batch.completed"]
    timestamp: str
    data: Batch


class EndpointDisabled(Struct):
    """Told to the other endpoints of its tenant."""

    type: Literal["endpoint.disabled"]
    timestamp: str
    data: WebhookEndpoint


class TestMessage(Struct):
    message: str
    endpoint: WebhookEndpoint


class EndpointTest(Struct):
    type: Literal["endpoint.test"]
    timestamp: str
    data: TestMessage


@dataclass(frozen=True)
class Webhook:
    """One kind of message; `kinds` are its forms, the usual one first."""

    name: str
    summary: str
    about: str
    kinds: tuple[Any, ...]


_SIGNED = "Signed as Standard Webhooks (`webhook-signature: v1,BASE64`), or as WaveSpeed does (`v3,HEX`)."
WEBHOOKS = (
    Webhook(
        "job_ended",
        "A job has ended",
        f"To the job's own webhook in the scheme `v3`, unless it asks for `v1`. {_SIGNED}",
        (PredictionTold, JobEnd),
    ),
    Webhook(
        "batch_ended",
        "A batch has ended",
        f"To the batch's own webhook in the scheme `v1`, unless it asks for `v3`. {_SIGNED}",
        (BatchEnd, Batch),
    ),
    Webhook(
        "endpoint_disabled",
        "An endpoint was disabled",
        f"To the other endpoints of its tenant that asked to be told. {_SIGNED}",
        (EndpointDisabled, WebhookEndpoint),
    ),
    Webhook(
        "endpoint_test",
        "Somebody tries an endpoint out",
        f"To that endpoint alone. {_SIGNED}",
        (EndpointTest, TestMessage),
    ),
)
