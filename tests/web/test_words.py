"""Numbers and times in words: rounded before a unit is chosen for them."""

from __future__ import annotations

import pytest

from orchestrator.web.dashboard.words import count, duration, percent


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (None, "–"),
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10,000"),
        (99_999, "99,999"),
        (999_960, "999,960"),
        (999_999, "999,999"),
        (999_999.5, "1.0 M"),
        (7_040_000, "7.0 M"),
        (999_949_999, "999.9 M"),
        (999_960_000, "1.0 G"),
    ],
)
def test_a_number_is_exact_up_to_a_million(number: float | None, told: str) -> None:
    assert count(number) == told


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.00001, "< 0.1 %"),
        (0.0005, "0.1 %"),
        (0.5, "50 %"),
        (0.994, "99.4 %"),
        (0.9994, "99.9 %"),
        (0.9996, "> 99.9 %"),
        (1, "100 %"),
    ],
)
def test_only_nothing_is_no_percent_and_only_all_is_a_hundred(share: float | None, told: str) -> None:
    assert percent(share) == told


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (None, "–"),
        (0, "0 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (9_940, "9.9 s"),
        (9_960, "10 s"),
        (59_400, "59 s"),
        (59_600, "1 min"),
        (250_000, "4 min 10 s"),
        (299_700, "5 min"),
        (25 * 60_000, "25 min"),
        (3_599_600, "1 h"),
        (130 * 60_000, "2 h 10 min"),
        (76 * 3_600_000, "3 d 4 h"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_fits_when_it_is_rounded(ms: float | None, told: str) -> None:
    assert duration(ms) == told
