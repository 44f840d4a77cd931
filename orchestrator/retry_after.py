"""The header `Retry-After` (RFC 9110, 10.2.3), as providers and webhooks send it."""

from __future__ import annotations

import math

from orchestrator.clock import HOUR, SECOND, from_http_date


def read_retry_after(text: str, *, now: int) -> float | None:
    """Seconds from now, 0 to 3,600, of the header's number or date; None for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, now=now)
    return None if math.isnan(seconds) else min(max(seconds, 0.0), HOUR / SECOND)


def _seconds_until(text: str, *, now: int) -> float:
    try:
        return (from_http_date(text) - now) / SECOND
    except ValueError:
        return math.nan
