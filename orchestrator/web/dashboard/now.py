"""The first page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.web.dashboard.pages import Look


async def load(look: Look) -> Mapping[str, Any]:
    return {}
