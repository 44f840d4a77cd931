"""Which times a request may name."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import lifecycle
from orchestrator.clock import to_rfc3339
from orchestrator.errors import InvalidInput
from orchestrator.flow.create import NewJob, Place, prepare
from orchestrator.flow.schedule import Schedule, read_schedule
from orchestrator.runtime import Runtime
from tests.factories import T0, TENANT, make_id

NAMES = ("not_before", "start_by", "finish_by")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "given",
    [
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "0000-01-01T00:00:00Z",
        "soon",
        "",
        1_700_000_000,
        1.5,
        True,
        ["2026-01-02T03:04:05Z"],
        {"T": "2026-01-02T03:04:05Z"},
    ],
)
def test_what_is_no_time_or_beyond_the_calendar_is_refused_by_name(name: str, given: Any) -> None:
    with pytest.raises(InvalidInput, match="must be a time such as") as raised:
        read_schedule({name: given}, Schedule())
    assert raised.value.field == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", ["1970-01-01T00:00:00.000Z", "9998-12-31T23:59:59.000Z"])
def test_the_first_and_the_last_times_are_taken_and_can_be_shown(name: str, given: str) -> None:
    at = getattr(read_schedule({name: given}, Schedule()), name)
    assert to_rfc3339(at) == given


def test_a_plus_that_came_unquoted_in_a_url_is_still_a_zone() -> None:
    schedule = read_schedule({"start_by": "2026-01-02T03:04:05 01:00"}, Schedule())
    assert schedule.start_by is not None
    assert to_rfc3339(schedule.start_by) == "2026-01-02T02:04:05.000Z"


def test_a_line_of_an_upload_has_no_deadline_before_its_release(runtime: Runtime) -> None:
    """The upload may still come to nothing, and then nothing of it is told."""
    new = NewJob(
        tenant_id=TENANT,
        model="wavespeed-ai/flux-dev",
        api_version="v3",
        inputs={"prompt": "a lake"},
        schedule=Schedule(start_by=T0, finish_by=T0 + 1),
        place=Place(make_id(), 1, None),
    )
    job = prepare(runtime, new).job
    assert (job.start_by, job.finish_by, job.due_at) == (T0, T0 + 1, None)
    assert lifecycle.release(job, now=T0).after.due_at == T0
