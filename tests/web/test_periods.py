"""The periods of charts, in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.web.dashboard.periods import CHOICES, chosen
from tests.web.shown import NOW, page_of


@pytest.mark.parametrize(("name", "told"), [("1h", "hour"), ("24h", "24 hours"), ("7d", "7 days")])
def test_a_sentence_names_a_period_by_words(name: str, told: str) -> None:
    look: Any = SimpleNamespace(asked=lambda *_: name, now=NOW)
    page = page_of("lanes", period=chosen(look), periods=CHOICES)
    assert f"Sums are of the last {told}." in page
