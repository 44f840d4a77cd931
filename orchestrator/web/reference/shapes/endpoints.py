"""Standing webhook endpoints; their secrets are shown to admins alone."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from orchestrator.web.reference.shapes.words import Id, Scheme, SubscribedEvent

SecretText = Annotated[str, Meta(pattern="^whsec_", description="Verifies the signatures.")]


class WebhookEndpoint(Struct, kw_only=True):
    id: Id
    url: Annotated[str, Meta(description="Without what may hold a secret.")]
    events: list[SubscribedEvent]
    description: str
    scheme: Scheme
    enabled: bool
    disabled_at: str
    disabled_because: str
    failing_since: Annotated[str, Meta(description="Since when nothing has been heard there.")]
    created_at: str


class NewWebhookEndpoint(WebhookEndpoint, kw_only=True):
    secret: SecretText


class RotatedWebhookEndpoint(NewWebhookEndpoint, kw_only=True):
    old_secret_until: Annotated[str, Meta(description="Until then the old secret signs as well.")]


class WebhookEndpoints(Struct):
    items: list[WebhookEndpoint]


class RemovedWebhookEndpoint(Struct):
    id: Id
    removed: Literal[True]


class EndpointSecret(Struct):
    secret: SecretText


class SentTest(Struct):
    delivery: Annotated[str, Meta(description="The id of the delivery.")]
