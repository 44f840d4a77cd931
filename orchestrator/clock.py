"""The one clock. Times are whole milliseconds since 1970 UTC; the database's clock is the truth.

Workers on several machines compare due times and leases that others wrote, so each process keeps
the offset between its own clock and the database's (`follow`, called each second) and
every `now` that reaches pure code is the database's time. Only the edges turn it into text.
Between two looks the time goes by as the monotonic clock says: whoever sets the machine's clock moves
nothing here. A machine that was suspended is late until the next look.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock:
    """Milliseconds since 1970 UTC, corrected to the database's clock."""

    def __init__(self) -> None:
        self._offset_ms = (time.time_ns() - time.monotonic_ns()) // 1_000_000

    def now(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._offset_ms

    def follow(self, database_now_ms: int, *, took_ms: float = 0.0) -> None:
        """Take the database's time as the truth; it was read half-way through the `took_ms` till now."""
        self._offset_ms = database_now_ms - round(time.monotonic_ns() / 1_000_000 - took_ms / 2)


def to_rfc3339(at: int) -> str:
    """`2026-01-02T03:04:05.678Z`, the form of WaveSpeed's `created_at`."""
    seconds, milliseconds = divmod(at, 1_000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=1_000)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def from_rfc3339(text: str) -> int:
    """Milliseconds of an ISO 8601 time of day with any number of fraction digits; no zone means UTC.

    Raises ValueError.
    """
    return _milliseconds(datetime.fromisoformat(text))


def from_http_date(text: str) -> int:
    """Milliseconds of a date in a header (RFC 9110, 5.6.7), in any of its forms; no zone means UTC.

    Raises ValueError.
    """
    try:
        return _milliseconds(parsedate_to_datetime(text))
    except OverflowError as error:
        raise ValueError("a date beyond all calendars") from error


def _milliseconds(stamp: datetime) -> int:
    return int((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1_000)
