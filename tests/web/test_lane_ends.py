"""How attempts and jobs ended: every way has a meaning."""

from __future__ import annotations

import pytest

from orchestrator.job import Reason
from orchestrator.web.dashboard.lanes import MEANINGS


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_a_failure_has_a_meaning(reason: Reason) -> None:
    tone, means = MEANINGS[reason]
    assert means.endswith(".")
    assert tone in ("bad", "doubt", "idle")
