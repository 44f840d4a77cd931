"""Inputs as they are typed on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.cli.values import LocalFile, parse_inputs, parse_value

MODEL = "wavespeed-ai/flux-dev"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("28", 28),
        ("-1", -1),
        ("3.5", 3.5),
        ("true", True),
        ("false", False),
        ('["a","b"]', ["a", "b"]),
        ('{"path":"x","scale":1}', {"path": "x", "scale": 1}),
    ],
)
def test_a_json_value_is_taken_as_such(typed: str, meant: Any) -> None:
    assert parse_value(typed) == meant


@pytest.mark.parametrize(
    "typed", ["", "a lighthouse", "1024*1024", "null", "True", "NaN", "1e999", "[1,2", "9" * 30, "a=b"]
)
def test_everything_else_is_a_text(typed: str) -> None:
    assert parse_value(typed) == typed


@pytest.mark.parametrize(("typed", "meant"), [('"42"', "42"), ('"@home"', "@home"), ('"true"', "true")])
def test_quotes_make_a_text_of_what_would_be_something_else(typed: str, meant: str) -> None:
    assert parse_value(typed) == meant


def test_what_the_page_calls_a_text_is_one() -> None:
    given = ["prompt=1984", "safety_tolerance=2", "guidance_scale=4"]
    told = {"prompt": "1984", "safety_tolerance": "2", "guidance_scale": 4}
    assert parse_inputs(given, model="wavespeed-ai/flux-kontext-pro") == told
    assert parse_inputs(["prompt=1984"], model="studio/unknown") == {"prompt": 1984}


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "boat.png").touch()

    assert parse_inputs([f"image=@{tmp_path}/boat.png"], model=MODEL) == {
        "image": LocalFile(tmp_path / "boat.png")
    }


def test_only_the_first_equals_sign_separates() -> None:
    assert parse_inputs(["prompt=a=b"], model=MODEL) == {"prompt": "a=b"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["prompt"], "name=value"),
        (["=x"], "name=value"),
        (["a=1", "a=2"], "given twice"),
        (["image=@nowhere.png"], "there is no file 'nowhere.png'"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: list[str], complaint: str) -> None:
    with pytest.raises(typer.BadParameter, match=complaint):
        parse_inputs(given, model=MODEL)
