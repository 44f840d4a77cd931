"""The one clock: it goes on by itself, and only the database sets it."""

from __future__ import annotations

import time

import pytest

from orchestrator.clock import Clock

NOW = 1_700_000_000_000


def test_a_clock_begins_with_the_time_of_the_machine() -> None:
    assert abs(Clock().now() - 1_000 * time.time()) < 1_000


@pytest.mark.parametrize("step_s", [400, -400])
def test_whoever_sets_the_clock_of_the_machine_moves_nothing(
    step_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.follow(NOW)
    stepped = time.time_ns() + step_s * 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: stepped)
    assert abs(clock.now() - NOW) < 1_000


def test_the_time_of_the_database_was_read_half_way_through_the_question() -> None:
    clock = Clock()
    clock.follow(NOW, took_ms=2_000.0)
    assert abs(clock.now() - NOW - 1_000) < 500
