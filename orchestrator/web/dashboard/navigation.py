"""The views by their places in the navigation."""

from __future__ import annotations

import msgspec

from orchestrator.web.dashboard.viewer import Role


class Place(msgspec.Struct, frozen=True):
    """A link of the navigation, for viewers of this role; `icon` is a symbol of static/icons.svg."""

    path: str
    title: str
    icon: str
    role: Role = Role.READ


NAVIGATION = (
    (
        Place("/", "Now", "now"),
        Place("/jobs", "Jobs", "jobs"),
        Place("/batches", "Batches", "batches"),
        Place("/dead-letters", "Dead letters", "dead"),
        Place("/new", "New job", "new", Role.OPERATE),
    ),
    (
        Place("/lanes", "Lanes", "lanes"),
        Place("/callbacks", "Callbacks", "callbacks"),
        Place("/deliveries", "Deliveries", "deliveries"),
        Place("/fairness", "Fairness", "fairness"),
        Place("/system", "System", "system"),
    ),
    (
        Place("/endpoints", "Endpoints", "endpoints"),
        Place("/keys", "Keys", "keys", Role.ADMIN),
    ),
)
