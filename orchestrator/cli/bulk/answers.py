"""What the server answers about batches, as far as the commands read it."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.cli.answers import BadLine


class Counts(msgspec.Struct, frozen=True):
    """Jobs of a batch by public state."""

    created: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0


class Failure(msgspec.Struct, frozen=True):
    """Failed jobs of a batch that failed alike."""

    fingerprint: str
    reason: str
    message: str
    count: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Many jobs that were sent together; `rejected` is filled when it is made, `failures` when it is read."""

    id: str
    state: str
    created_at: str
    total: int
    name: str = ""
    mode: str = "atomic"
    model: str = ""
    finished_at: str = ""
    rejected_lines: int = 0
    counts: Counts = Counts()
    progress: float = 0.0
    per_second: float = 0.0
    eta_seconds: float | None = None
    waiting_for: str = ""
    failures: list[Failure] = []
    rejected: list[BadLine] = []

    @property
    def is_ended(self) -> bool:
        return self.state in ("completed", "cancelled")

    @property
    def done(self) -> int:
        return self.counts.completed + self.counts.failed


class Retrying(Batch, frozen=True, kw_only=True):
    """A batch some of whose failed jobs were given another try."""

    retrying: int


class DryRun(msgspec.Struct, frozen=True):
    """What would become of a batch."""

    total: int
    accepted: int
    rejected: list[BadLine]


class Page(msgspec.Struct, frozen=True):
    """Some batches, newest first."""

    items: list[Batch]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a batch."""

    line: int
    id: str
    status: str
    custom_id: str | None = None
    outputs: list[Any] = []
