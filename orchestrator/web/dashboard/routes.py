"""Every page and every action of the dashboard, as one list."""

from __future__ import annotations

from starlette.routing import BaseRoute

from orchestrator.web.dashboard import batches, keys, new_batch, new_job, overview
from orchestrator.web.dashboard.batch_page import BATCH_PAGE
from orchestrator.web.dashboard.endpoints import ENDPOINTS
from orchestrator.web.dashboard.gate import GATE
from orchestrator.web.dashboard.live import LIVE
from orchestrator.web.dashboard.pages import action, view
from orchestrator.web.dashboard.static_files import STATIC_FILES
from orchestrator.web.dashboard.viewer import Role

DASHBOARD: list[BaseRoute] = [
    view("/", "now", overview.load),
    view("/batches", "batches", batches.load),
    *BATCH_PAGE,
    view("/new", "new", new_job.load, role=Role.OPERATE),
    action("/new", new_job.submit, limit=new_job.FORM_LIMIT),
    view("/new/batch", "new_batch", new_batch.load, role=Role.OPERATE),
    action("/new/batch", new_batch.submit, limit=new_batch.FORM_LIMIT),
    *ENDPOINTS,
    view("/keys", "keys", keys.load, role=Role.ADMIN),
    action("/keys", keys.create, role=Role.ADMIN),
    action("/keys/{id}/revoke", keys.revoke, role=Role.ADMIN),
    *GATE,
    *LIVE,
    *STATIC_FILES,
]
