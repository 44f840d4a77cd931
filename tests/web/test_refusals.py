"""What people read when something is refused."""

from __future__ import annotations

import pytest

from orchestrator.errors import InvalidInput, NotFound
from orchestrator.web.dashboard.model_form import read_json
from orchestrator.web.dashboard.refusals import sentence
from orchestrator.web.fields import to_fields
from orchestrator.web.lanes import Rate
from orchestrator.web.tenants import TenantChange


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (TenantChange, {"weight": "0"}, "Weight must be a number of at least 0.001."),
        (TenantChange, {"weight": "much"}, "Weight must be a number."),
        (Rate, {"per_minute": "0"}, "Per minute must be a whole number of at least 1."),
        (Rate, {"per_minute": "1.5"}, "Per minute must be a whole number."),
    ],
)
def test_a_wrong_number_is_refused_in_plain_words(kind: type, given: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        to_fields(given, kind, strict=False)
    assert sentence(refused.value) == said


def test_what_is_plain_already_stays() -> None:
    assert sentence(NotFound("There is no such job.")) == "There is no such job."
    assert (
        sentence(InvalidInput("", "These jobs are not failed any more."))
        == "These jobs are not failed any more."
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ('{"a": 1,\n "b" 2}', "is not valid JSON: look at line 2, character 6"),
        ("[1]", "what is typed here must be a JSON object"),
    ],
)
def test_json_that_cannot_be_read_is_refused_with_its_place(typed: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_json(typed)
    assert said in str(refused.value)
    assert "malformed" not in str(refused.value)
