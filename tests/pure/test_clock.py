"""The one clock: it goes on by itself, and only the database sets it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from orchestrator.clock import Clock, from_http_date, from_rfc3339
from orchestrator.retry_after import read_retry_after

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


@pytest.fixture
def _in_shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as machine:
        machine.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_shanghai")
@pytest.mark.parametrize(
    "date",
    ["Fri, 02 Jan 2026 12:05:00 GMT", "Fri, 02 Jan 2026 12:05:00 -0000", "Fri Jan  2 12:05:00 2026"],
)
def test_a_date_in_a_header_is_utc_wherever_the_machine_stands(date: str) -> None:
    assert from_http_date(date) == from_rfc3339("2026-01-02T12:05:00Z")
    assert read_retry_after(date, now=from_rfc3339("2026-01-02T12:00:00Z")) == 300


@pytest.mark.parametrize("text", ["", "soon", "2026-01-02", "Fri, 99 Jan 2026 12:00:00 +99999999"])
def test_what_is_no_date_in_a_header_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 it is the library's own sentence
        from_http_date(text)
