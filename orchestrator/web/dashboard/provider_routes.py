"""The pages about the way to the provider and back: lanes, callbacks, deliveries, fairness, the system."""

from __future__ import annotations

from starlette.routing import BaseRoute

from orchestrator.web.dashboard import callbacks, deliveries, fairness, lane_actions, lanes, system
from orchestrator.web.dashboard.pages import action, view
from orchestrator.web.dashboard.viewer import Role

PROVIDER: list[BaseRoute] = [
    view("/lanes", "lanes", lanes.load),
    action("/lanes/{id:path}/pause", lane_actions.pause, role=Role.ADMIN),
    action("/lanes/{id:path}/resume", lane_actions.resume, role=Role.ADMIN),
    action("/lanes/{id:path}/limit", lane_actions.set_rate, role=Role.ADMIN),
    action("/accounts/{id}/limit", lane_actions.set_slots, role=Role.ADMIN),
    view("/lanes/{id:path}", "lane", lanes.load_one),
    view("/callbacks", "callbacks", callbacks.load),
    view("/fairness", "fairness", fairness.load),
    action("/fairness/{name:path}", fairness.change, role=Role.ADMIN),
    view("/system", "system", system.load),
    view("/deliveries", "deliveries", deliveries.load),
    view("/deliveries/{id}", "delivery", deliveries.load_one),
    action("/deliveries/redeliver", deliveries.redeliver_dead),
    action("/deliveries/{id}/redeliver", deliveries.redeliver),
]
