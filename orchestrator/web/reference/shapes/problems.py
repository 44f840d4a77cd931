"""What is answered when something is wrong."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType


class Problem(Struct):
    """Every answer that is not a success."""

    code: Annotated[int, Meta(ge=400, le=599, description="The HTTP status.")]
    message: Annotated[str, Meta(description="What is wrong, for a person.")]
    field: Annotated[str, Meta(description="The path of the value that is wrong.")] | UnsetType = UNSET


class Rejected(Struct):
    """A line of a batch that makes no job."""

    line: Annotated[int, Meta(ge=1)]
    custom_id: str
    field: str
    message: str


class ProblemOfLines(Struct):
    """A refusal that names every bad line of a batch."""

    code: Annotated[int, Meta(ge=400, le=599)]
    message: str
    field: str | UnsetType = UNSET
    errors: list[Rejected] | UnsetType = UNSET
