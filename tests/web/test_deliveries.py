"""The pages of deliveries: what is due says so."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from orchestrator.clock import MINUTE, SECOND
from orchestrator.store.delivery_search import OVERDUE_MS, Listed, Page
from tests.web.shown import NOW, page_of

PENDING = Listed(
    id="d1",
    tenant_id="t",
    job_id="j1",
    batch_id=None,
    endpoint_id=None,
    event="job.completed",
    scheme="v1",
    because=None,
    url="https://user.example/hook",
    host="user.example",
    state="pending",
    failures=0,
    created_at=NOW - 20 * MINUTE,
    due_at=NOW,
    finished_at=None,
    attempts=0,
    last_at=None,
    last_status=None,
    last_error=None,
)


def pages(due_at: int) -> tuple[str, str]:
    """The list and the delivery's own page, while it is due then."""
    one = structs.replace(PENDING, due_at=due_at)
    shared: dict[str, Any] = {"overdue_ms": OVERDUE_MS, "shown_url": str, "outcome": str}
    listed = page_of("deliveries", page=Page([one], None, is_cut=False), **shared)
    return listed, page_of("delivery", one=one, **shared)


@pytest.mark.parametrize(
    ("ago", "told"),
    [(0, "due<"), (5 * SECOND, "due<"), (12 * MINUTE, 'due <span class="soft">for 12 min</span>')],
)
def test_a_time_that_is_over_is_due_and_no_attempt(ago: int, told: str) -> None:
    listed, own = pages(NOW - ago)
    assert f'data-name="Next">{told}' in listed
    assert f"<dt>Next attempt</dt><dd>{told}" in own


def test_an_attempt_to_come_has_its_time() -> None:
    for page in pages(NOW + 12 * MINUTE):
        assert "in 12 min</time>" in page


def test_a_delivery_that_stands_still_does_not_promise_to_go_out_in_a_moment() -> None:
    assert "goes out in a moment" in pages(NOW)[1]
    late = pages(NOW - 12 * MINUTE)[1]
    assert "goes out in a moment" not in late
    assert "It was due 12 min ago." in late
