"""The route table: every endpoint, in the groups and in the order in which a reader meets them."""

from __future__ import annotations

from orchestrator.web.reference.tables import (
    actions,
    batches,
    deliveries,
    endpoints,
    events,
    jobs,
    keys,
    lanes,
    predictions,
    provider,
    service,
    tenants,
)

GROUPS = (
    predictions.GROUP,
    provider.GROUP,
    jobs.GROUP,
    actions.GROUP,
    batches.GROUP,
    events.GROUP,
    deliveries.GROUP,
    endpoints.GROUP,
    lanes.GROUP,
    keys.GROUP,
    tenants.GROUP,
    service.GROUP,
)
ENDPOINTS = tuple(endpoint for group in GROUPS for endpoint in group.endpoints)
# The two that every job passes.
SHORT = (predictions.SUBMIT, service.RECEIVE)
