"""The ledger of every task ever created. It is the bill: nothing is taken out of it, also not by a delete."""

from __future__ import annotations

import os
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

import msgspec

ENDED = frozenset({"completed", "failed"})


class Sending(msgspec.Struct, frozen=True, gc=False):
    """One callback request and what came back: an HTTP status, or 0 and the error's name."""

    at_ms: int
    kind: str
    answer: int
    error: str = ""


class Task(msgspec.Struct, kw_only=True):
    """One paid task. `input` is the request's body as it came; `base` is the URL by which we were called."""

    id: str
    account: str
    version: str
    model: str
    input: bytes
    seed: int
    base: str
    webhook: str
    created_ms: int
    price: float
    status: str = "created"
    outputs: list[str] | msgspec.Raw = []
    code: int = 0
    error: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    gone_until_ms: int = 0
    is_deleted: bool = False
    sendings: list[Sending] = []

    def decoded_input(self) -> dict[str, Any]:
        """The input as an object."""
        return msgspec.json.decode(self.input, type=dict[str, Any])


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Ledger:
    """Every task, by id and in the order of creation."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self._by_id: dict[str, Task] = {}

    def create(
        self,
        *,
        account: str,
        version: str,
        model: str,
        input: bytes,  # noqa: A002
        base: str,
        webhook: str,
        seed: int,
        price: float,
    ) -> Task:
        """Charge a new task."""
        task = Task(
            id=os.urandom(16).hex(),
            account=sys.intern(account),
            version=sys.intern(version),
            model=sys.intern(model),
            input=input,
            seed=seed,
            base=sys.intern(base),
            webhook=webhook,
            created_ms=now_ms(),
            price=price,
        )
        self.tasks.append(task)
        self._by_id[task.id] = task
        return task

    def find(self, task_id: str) -> Task | None:
        """The task of this id, a deleted one too."""
        return self._by_id.get(task_id)

    def newest_first(self, *, after_ms: int | None, before_ms: int | None) -> Iterator[Task]:
        """The tasks created within these bounds, both included."""
        first = 0 if after_ms is None else bisect_left(self.tasks, after_ms, key=_created_ms)
        end = len(self.tasks) if before_ms is None else bisect_right(self.tasks, before_ms, key=_created_ms)
        return (self.tasks[i] for i in range(end - 1, first - 1, -1))

    def clear(self) -> None:
        """Forget everything."""
        self.tasks.clear()
        self._by_id.clear()


def _created_ms(task: Task) -> int:
    return task.created_ms
