"""The views by their places in the navigation."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A link of the navigation; `icon` is a symbol of static/icons.svg."""

    path: str
    title: str
    icon: str


NAVIGATION = (
    (
        Place("/", "Now", "now"),
        Place("/jobs", "Jobs", "jobs"),
        Place("/batches", "Batches", "batches"),
        Place("/dead-letters", "Dead letters", "dead"),
        Place("/new", "New job", "new"),
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
        Place("/keys", "Keys", "keys"),
    ),
)
