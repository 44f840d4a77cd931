"""What a batch's row says to clients."""

from __future__ import annotations

import pytest

from tests.factories import T0, make_batch


@pytest.mark.parametrize(
    ("step", "cancelled_at", "state"),
    [
        (None, None, "completed"),
        (None, 2, "cancelled"),
        ("cancel", 2, "cancelled"),
    ],
)
def test_a_batch_whose_jobs_have_ended_has_ended_whatever_is_left_of_its_steps(
    step: str | None, cancelled_at: int | None, state: str
) -> None:
    batch = make_batch(finished_at=T0, cancelled_at=cancelled_at, failed=1, step=step)
    assert batch.public_state == state
