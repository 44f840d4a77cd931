"""What a check found out about one subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """Only `wrong` makes the check fail."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """A sentence about the subject and, where there is something to do, how to mend it."""

    verdict: Verdict
    subject: str
    told: str
    mend: str = ""

    @classmethod
    def ok(cls, subject: str, told: str) -> Finding:
        return cls(Verdict.OK, subject, told)

    @classmethod
    def note(cls, subject: str, told: str) -> Finding:
        return cls(Verdict.NOTE, subject, told)

    @classmethod
    def warning(cls, subject: str, told: str, mend: str = "") -> Finding:
        return cls(Verdict.WARNING, subject, told, mend)

    @classmethod
    def wrong(cls, subject: str, told: str, mend: str) -> Finding:
        return cls(Verdict.WRONG, subject, told, mend)
