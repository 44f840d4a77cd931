"""What requests bring, as types, for the description; the readers are written by hand and name each field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from orchestrator.flow.lines import LONGEST_CUSTOM_ID
from orchestrator.web.endpoints import LONGEST_DESCRIPTION
from orchestrator.web.predictions import DEEPEST_PAGE, MOST_DELETED, MOST_PER_PAGE
from orchestrator.web.reference.shapes.words import Scheme, SubscribedEvent

ModelName = Annotated[str, Meta(examples=["wavespeed-ai/flux-dev"])]
Priority = Annotated[int, Meta(ge=0, le=9)]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
WebhookUrl = Annotated[str, Meta(description="A public https URL.", extra_json_schema={"format": "uri"})]
Events = Annotated[list[SubscribedEvent], Meta(min_length=1)]
# Left empty it is none.
TimeOrNone = Annotated[str, Meta(extra_json_schema={"anyOf": [{"format": "date-time"}, {"const": ""}]})]


class HistoryQuestion(Struct, kw_only=True):
    page: Annotated[int, Meta(ge=1, le=DEEPEST_PAGE)] | None = 1
    page_size: Annotated[int, Meta(ge=1, le=MOST_PER_PAGE)] | None = 20
    model: str | None = None
    status: str | None = None
    created_after: TimeOrNone | None = None
    created_before: TimeOrNone | None = None
    include_inputs: bool | None = False


class Deletion(Struct):
    ids: Annotated[list[str], Meta(max_length=MOST_DELETED)]


class Scheduled(Struct, kw_only=True):
    model: ModelName | None = None
    webhook: str | None = None
    priority: Priority | None = None
    not_before: Time | None = None
    start_by: Time | None = None
    finish_by: Time | None = None


class BatchLine(Scheduled, kw_only=True, forbid_unknown_fields=True):
    """One job of a batch; what it leaves out is the batch's."""

    input: dict[str, Any]
    custom_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_CUSTOM_ID)] | None = None


class BatchDocument(Scheduled, kw_only=True, forbid_unknown_fields=True):
    """A batch as one document; its parameters may stand in the query instead."""

    inputs: list[dict[str, Any]]
    name: str | None = None
    webhook_scheme: Literal["v1", "v3", ""] | None = None
    mode: Literal["atomic", "partial"] | None = None
    defaults: Annotated[dict[str, Any], Meta(description="Inputs for all of them.")] | None = None
    job_webhook: str | None = None
    strict: bool = False
    dry_run: bool = False


class EndpointChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is not given stays."""

    url: WebhookUrl | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=LONGEST_DESCRIPTION)] | UnsetType = UNSET
    scheme: Scheme | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class WantedEndpoint(EndpointChange, kw_only=True, forbid_unknown_fields=True):
    """A standing endpoint to be made; its scheme is `v1` unless it says otherwise."""

    url: WebhookUrl
    events: Events
