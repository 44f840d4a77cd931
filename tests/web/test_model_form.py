"""A model's parameters as fields, and what is typed into them as its inputs."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.catalogue.page import Kind, Page, Parameter
from orchestrator.errors import InvalidInput
from orchestrator.web.dashboard.model_form import fields, read, typed_of


def page(*rows: Parameter) -> Page:
    return Page(model="m/x", version="v3", name="X", type="", description="", parameters=rows)


ROWS = page(
    Parameter("prompt", Kind.TEXT, required=True),
    Parameter("seed", Kind.INTEGER, default=-1, limits=(-1, 10)),
    Parameter("strength", Kind.NUMBER),
    Parameter("safe", Kind.SWITCH, default=True),
    Parameter("steps", Kind.INTEGER, choices=(1, 2)),
    Parameter("loras", Kind.LIST),
    Parameter("extra", Kind.ANY),
)


@pytest.mark.parametrize(
    ("typed", "inputs"),
    [
        ({"prompt": " a <b>\nboat "}, {"prompt": " a <b>\nboat "}),
        ({"prompt": "12"}, {"prompt": "12"}),
        ({"seed": " 4 ", "strength": "0.5"}, {"seed": 4, "strength": 0.5}),
        ({"seed": "4.0"}, {"seed": 4.0}),
        ({"seed": "many"}, {"seed": "many"}),
        ({"seed": "NaN", "strength": "null"}, {"seed": "NaN", "strength": "null"}),
        ({"safe": "false"}, {"safe": False}),
        ({"steps": "2"}, {"steps": 2}),
        ({"steps": "3"}, {"steps": "3"}),
        ({"loras": '["a"]'}, {"loras": ["a"]}),
        ({"extra": "plain"}, {"extra": "plain"}),
        ({"extra": '{"a": 1}'}, {"extra": {"a": 1}}),
        ({"seed": "", "strength": "  ", "nobody-knows": "x"}, {}),
    ],
)
def test_what_is_typed_becomes_the_value_of_its_kind(typed: dict[str, str], inputs: dict[str, Any]) -> None:
    assert read(ROWS, typed) == inputs


def test_what_must_be_json_is_refused_at_its_field() -> None:
    with pytest.raises(InvalidInput) as refused:
        read(ROWS, {"loras": "a, b"})
    assert refused.value.field == "loras"


def test_what_no_database_can_store_is_refused() -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        read(ROWS, {"prompt": "a\0b"})


def test_an_input_that_is_typed_again_is_the_same_input() -> None:
    inputs = {
        "prompt": "a boat",
        "seed": 4,
        "strength": 0.5,
        "safe": False,
        "steps": 2,
        "loras": [{"a": "ü"}],
    }
    assert read(ROWS, typed_of(inputs)) == inputs


@pytest.mark.parametrize("known", Catalogue().pages, ids=lambda known: f"{known.model} {known.version}")
def test_every_model_of_the_catalogue_has_a_field_for_all_that_it_takes(known: Page) -> None:
    shown = fields(known, {})
    assert {row.name for row in known.parameters} - {one.name for one in shown} <= {"enable_sync_mode"}
    for one in shown:
        required = {row.name for row in known.parameters if row.required}
        assert one.is_required == (one.name in required)


def test_a_field_tells_its_range_and_what_leaving_it_empty_means() -> None:
    (_, seed, *_) = fields(ROWS, {"seed": "4"})
    assert (seed.look, seed.value, seed.otherwise, seed.rule) == ("number", "4", "-1", "-1 to 10")
    assert (seed.low, seed.high, seed.step) == ("-1", "10", "1")
