"""What a client and a webhook see of a job that has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.evidence import Error, ErrorKind
from orchestrator.flow.message import LONGEST_INPUT, message
from orchestrator.flow.prediction import prediction
from orchestrator.job import Ending, Phase, Reason
from orchestrator.store.deliveries import Due, JobEnd
from tests.factories import T0, make_job, make_result


def told(given: str, scheme: str = "v3", **of_job: Any) -> Any:
    job = make_job(Phase.COMPLETED, **of_job)
    due = Due(
        id=f"{job.id}-1",
        url="https://hook.example/",
        host="hook.example",
        failures=0,
        number=1,
        tenant_id=job.tenant_id,
        event="job.completed",
        scheme=scheme,
        created_at=T0,
        endpoint=None,
        told=JobEnd(job, Ending(result=make_result()), given),
    )
    return json.loads(message(due, base_url="https://us.example"))


@pytest.mark.parametrize(
    ("reason", "given", "shown"),
    [
        (Reason.REJECTED, 0, 1401),
        (Reason.REJECTED, 1200, 1200),
        (Reason.EXPIRED, 0, 5004),
        (Reason.EXHAUSTED, 0, 5003),
        (Reason.EXHAUSTED, 5000, 5000),
        (Reason.CANCELLED, 0, 5000),
    ],
)
def test_the_code_says_whether_another_try_may_help(reason: Reason, given: int, shown: int) -> None:
    job = make_job(Phase.FAILED, reason=reason)
    ending = Ending(error=Error(ErrorKind.REJECTED, "no", code=given))
    assert prediction(job, ending, base_url="")["code"] == shown


def test_a_webhook_gets_the_input_too() -> None:
    given = {"prompt": "a cat", "seed": 1}
    assert told(json.dumps(given))["input"] == given
    assert told(json.dumps(given), "v1")["data"]["input"] == given


def test_a_job_of_a_batch_is_known_by_its_line_and_its_name() -> None:
    shown = told("{}", batch_id="b" * 32, line=7, custom_id="row-7")
    assert (shown["batch"], shown["line"], shown["custom_id"]) == ("b" * 32, 7, "row-7")
    assert told("{}", "v1", batch_id="b" * 32, line=7)["data"]["custom_id"] == ""
    assert "batch" not in told("{}")


def test_an_input_with_embedded_media_is_not_sent_around() -> None:
    assert "input" in told(json.dumps({"image": "x" * (LONGEST_INPUT - 20)}))
    assert "input" not in told(json.dumps({"image": "x" * LONGEST_INPUT}))
