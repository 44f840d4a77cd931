"""Every page and every action of the dashboard, as one list."""

from __future__ import annotations

from starlette.routing import BaseRoute

from orchestrator.web.dashboard import (
    batches,
    bulk,
    dead_letters,
    job,
    job_acts,
    jobs,
    keys,
    new_batch,
    new_job,
    overview,
)
from orchestrator.web.dashboard.batch_page import BATCH_PAGE
from orchestrator.web.dashboard.endpoints import ENDPOINTS
from orchestrator.web.dashboard.gate import GATE
from orchestrator.web.dashboard.live import LIVE
from orchestrator.web.dashboard.pages import action, view
from orchestrator.web.dashboard.provider_routes import PROVIDER
from orchestrator.web.dashboard.static_files import STATIC_FILES
from orchestrator.web.dashboard.viewer import Role

DASHBOARD: list[BaseRoute] = [
    view("/", "now", overview.load),
    view("/jobs", "jobs", jobs.load),
    action("/jobs/act", bulk.order),
    view("/jobs/{id}", "job", job.load),
    action("/jobs/{id}/redrive", job_acts.redrive_job),
    action("/jobs/{id}/cancel", job_acts.cancel_job),
    action("/jobs/{id}/dismiss", job_acts.dismiss_job),
    action("/jobs/{id}/check", job_acts.check_job),
    action("/jobs/{id}/delete", job_acts.delete_job),
    action("/jobs/{id}/resolve", job_acts.resolve_job, role=Role.ADMIN),
    view("/actions", "actions", bulk.load),
    action("/actions/{id}/stop", bulk.stop),
    view("/dead-letters", "dead_letters", dead_letters.load),
    action("/dead-letters/act", dead_letters.order),
    view("/batches", "batches", batches.load),
    *BATCH_PAGE,
    view("/new", "new", new_job.load, role=Role.OPERATE),
    action("/new", new_job.submit, limit=new_job.FORM_LIMIT),
    view("/new/batch", "new_batch", new_batch.load, role=Role.OPERATE),
    action("/new/batch", new_batch.submit, limit=new_batch.FORM_LIMIT),
    *PROVIDER,
    *ENDPOINTS,
    view("/keys", "keys", keys.load, role=Role.ADMIN),
    action("/keys", keys.create, role=Role.ADMIN),
    action("/keys/{id}/revoke", keys.revoke, role=Role.ADMIN),
    *GATE,
    *LIVE,
    *STATIC_FILES,
]
