"""What waits for the database says so once in a while, and everything else each time."""

from __future__ import annotations

import pytest
import structlog

from orchestrator import logs


def kept(said: logs.OnceInAWhile, event: str, **more: str) -> bool:
    try:
        said(None, "warning", {"event": event, **more})
    except structlog.DropEvent:
        return False
    return True


def test_what_waits_says_so_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("orchestrator.logs.time.monotonic", lambda: now)
    said = logs.OnceInAWhile()
    assert kept(said, "drain.waits", drain="submit")
    assert not kept(said, "drain.waits", drain="submit")
    assert kept(said, "drain.waits", drain="poll")
    assert kept(said, "tick.waits")
    assert [kept(said, "request.put_off", kind="Busy") for _ in range(3)] == [True, False, False]
    assert kept(said, "request.put_off", kind="CommitLost")
    now += 10
    assert kept(said, "drain.waits", drain="submit")


def test_all_else_is_said_each_time() -> None:
    said = logs.OnceInAWhile()
    assert [kept(said, "jobs.moved") for _ in range(3)] == [True, True, True]
