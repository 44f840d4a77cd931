"""Why something was refused, as a sentence for people: what the API tells programs, said plainly."""

from __future__ import annotations

import re

from orchestrator.errors import InvalidInput, OrchestratorError
from orchestrator.web.dashboard.words import words

_EXPECTED = re.compile(
    r"expected `(?P<kind>int|float|str)(?: \| null)?`"
    r"(?P<of> of length)?(?: (?P<sign>[<>]=?) (?P<limit>[-\d.e]+))?"
)
_KINDS = {"int": "a whole number", "float": "a number", "str": "a text"}
_SIGNS = {">=": "of at least", ">": "above", "<=": "of at most", "<": "below"}


def sentence(refused: OrchestratorError) -> str:
    """`Weight must be a number of at least 0.001.` for what the API calls `weight: expected ...`."""
    if not isinstance(refused, InvalidInput) or not refused.field:
        return str(refused)
    said = plain(str(refused).removeprefix(f"{refused.field}: "))
    return f"{words(refused.field).capitalize()} {said}" + ("" if said.endswith(".") else ".")


def plain(rule: str) -> str:
    """The rule that a value broke, without the words of a programmer."""
    found = _EXPECTED.match(rule)
    if found is None:
        return rule
    bound = f" {_SIGNS[found['sign']]} {found['limit']}" if found["sign"] else ""
    if found["of"]:
        return f"must be a text{bound} characters"
    return f"must be {_KINDS[found['kind']]}{bound}"
