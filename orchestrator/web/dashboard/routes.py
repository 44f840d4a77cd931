"""Every page and every action of the dashboard, as one list."""

from __future__ import annotations

from starlette.routing import BaseRoute

from orchestrator.web.dashboard import bulk, dead_letters, jobs, overview
from orchestrator.web.dashboard.gate import GATE
from orchestrator.web.dashboard.live import LIVE
from orchestrator.web.dashboard.pages import action, view
from orchestrator.web.dashboard.static_files import STATIC_FILES

DASHBOARD: list[BaseRoute] = [
    view("/", "now", overview.load),
    view("/jobs", "jobs", jobs.load),
    action("/jobs/act", bulk.order),
    view("/actions", "actions", bulk.load),
    action("/actions/{id}/stop", bulk.stop),
    view("/dead-letters", "dead_letters", dead_letters.load),
    action("/dead-letters/act", dead_letters.order),
    *GATE,
    *LIVE,
    *STATIC_FILES,
]
