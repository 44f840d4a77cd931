"""Results as CSV: what a spreadsheet would take for a formula is marked as text, wherever it came from."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from orchestrator.web.results import _csv

LINE: dict[str, Any] = {
    "line": 1,
    "custom_id": "",
    "id": "a",
    "model": "studio/paint",
    "status": "completed",
    "outputs": [],
    "error": "",
    "reason": "",
    "seconds": 1.5,
}
FORMULA = '=HYPERLINK("https://evil.example")'


@pytest.mark.parametrize(
    ("column", "given", "shown"),
    [
        ("outputs", [FORMULA], f"'{FORMULA}"),
        ("outputs", ["@SUM(1)", "b"], "'@SUM(1) b"),
        ("outputs", [-1], "'-1"),
        ("outputs", [{"a": 1}, "b"], '{"a":1} b'),
        ("outputs", ["https://cdn.example/1.png"], "https://cdn.example/1.png"),
        ("error", "+1", "'+1"),
        ("error", "\t=1", "'\t=1"),
        ("custom_id", "-x", "'-x"),
        ("seconds", -0.5, "-0.5"),
    ],
)
def test_no_cell_is_a_formula(column: str, given: Any, shown: str) -> None:
    (row,) = csv.reader(io.StringIO(_csv([LINE | {column: given}]).decode()))
    assert row[list(LINE).index(column)] == shown
