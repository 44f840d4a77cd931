"""Every page and every action of the dashboard, as one list."""

from __future__ import annotations

from starlette.routing import BaseRoute

from orchestrator.web.dashboard import overview
from orchestrator.web.dashboard.gate import GATE
from orchestrator.web.dashboard.live import LIVE
from orchestrator.web.dashboard.pages import view
from orchestrator.web.dashboard.provider_routes import PROVIDER
from orchestrator.web.dashboard.static_files import STATIC_FILES

DASHBOARD: list[BaseRoute] = [
    view("/", "now", overview.load),
    *PROVIDER,
    *GATE,
    *LIVE,
    *STATIC_FILES,
]
