"""Ends a process that was asked to end and hangs; processes.py starts the clock when the signal comes."""

from __future__ import annotations

import os
import threading

import structlog

STOP_S = 9.0
"""From the signal to the end at most; whoever runs us kills after ten seconds."""
FORCED = 1


def end_in_time(within_s: float = STOP_S) -> None:
    """End this process then, if it has not ended by itself.

    A database that keeps its connections open and answers nothing holds whatever waits for it, even the
    closing of the connection. Nothing is lost that a crash would not lose: leases end, and the history is
    asked. It takes a thread, since the event loop may be what hangs.
    """
    timer = threading.Timer(within_s, _end_now)
    timer.daemon = True
    timer.start()


def _end_now() -> None:
    structlog.get_logger().error("stop.forced", because="something did not end, most likely the database")
    os._exit(FORCED)
