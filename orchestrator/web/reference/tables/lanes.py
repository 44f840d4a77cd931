"""The routes for lanes and accounts: every tenant may see why its jobs wait, the operator may change it."""

from __future__ import annotations

from typing import Any

from orchestrator.web import lanes
from orchestrator.web.reference.endpoint import Body, Endpoint, Group
from orchestrator.web.reference.shapes.lanes import Lanes

_ORDER: dict[str, Any] = {
    "scope": "admin",
    "is_operators": True,
    "gives": Lanes,
}

GROUP = Group(
    "Lanes",
    "The limits of the provider's accounts, and the pauses of their lanes. All tenants share them.",
    (
        Endpoint(
            name="lanes",
            method="GET",
            path="/api/v3/lanes",
            handler=lanes.read_lanes,
            scope="read",
            summary="Read limits and pauses, and why jobs wait",
            gives=Lanes,
        ),
        Endpoint(
            name="pause_lane",
            method="POST",
            path="/api/v3/lanes/{id:path}/pause",
            handler=lanes.pause_lane,
            summary="Pause a lane",
            about="Nothing more is sent; what is at the provider goes on. Without `seconds`: until resumed.",
            body=Body(
                {"application/json": lanes.Pause},
                example={"seconds": 600, "because": "maintenance"},
                is_required=False,
            ),
            **_ORDER,
        ),
        Endpoint(
            name="resume_lane",
            method="POST",
            path="/api/v3/lanes/{id:path}/resume",
            handler=lanes.resume_lane,
            summary="End an operator's pause of a lane",
            about="One that the provider asked for stays.",
            body=Body({"application/json": lanes.Nothing}, is_required=False),
            **_ORDER,
        ),
        Endpoint(
            name="change_lane",
            method="PATCH",
            path="/api/v3/lanes/{id:path}",
            handler=lanes.change_lane,
            summary="Set the rate of a lane",
            about="It counts from the next claim on. null goes back to the settings.",
            body=Body({"application/json": lanes.Rate}, example={"per_minute": 60}),
            **_ORDER,
        ),
        Endpoint(
            name="change_account",
            method="PATCH",
            path="/api/v3/accounts/{id}",
            handler=lanes.change_account,
            summary="Set how many tasks an account has at the provider at a time",
            about="It counts from the next claim on. null goes back to the settings.",
            body=Body({"application/json": lanes.Slots}, example={"max_in_flight": 20}),
            **_ORDER,
        ),
    ),
)
