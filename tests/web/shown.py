"""A page as its template makes it of what it is given, without a server, a database or a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jinja2

from orchestrator.web.dashboard.rendering import templates
from orchestrator.web.dashboard.viewer import Role, Viewer

OPERATOR = Viewer("t", "default", "first key", "k", Role.ADMIN, "csrf")
NOW = 1_800_000_000_000


def page_of(template: str, **given: Any) -> str:
    """The page's HTML as its operator sees it, with white space folded; what is not given is empty."""
    context = {
        "viewer": OPERATOR,
        "door": SimpleNamespace(is_exposed=False),
        "path": "/",
        "here": "/",
        "query": {},
        "notice": None,
        "now": NOW,
        "bell_is_up": True,
    }
    lenient = templates().overlay(undefined=jinja2.ChainableUndefined)
    return " ".join(lenient.get_template(f"{template}.html").render(context | given).split())
