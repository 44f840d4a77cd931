"""The route table: every endpoint, in the groups and in the order in which a reader meets them."""

from __future__ import annotations

from orchestrator.web.reference.tables import batches, deliveries, jobs, predictions, provider, service

GROUPS = (predictions.GROUP, provider.GROUP, jobs.GROUP, batches.GROUP, deliveries.GROUP, service.GROUP)
ENDPOINTS = tuple(endpoint for group in GROUPS for endpoint in group.endpoints)
# The two that every job passes.
SHORT = (predictions.SUBMIT, service.RECEIVE)
