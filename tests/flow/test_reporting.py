"""A process tells that it lives as long as it does, whatever goes wrong with one report."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.errors import Busy
from orchestrator.flow import learn, reckon


class Log:
    def __init__(self) -> None:
        self.told: list[str] = []

    def exception(self, event: str, **_: Any) -> None:
        self.told.append(event)


async def _nothing(*_: Any, **__: Any) -> None:
    pass


@pytest.mark.parametrize(("failure", "told"), [(RuntimeError("odd"), ["report.failed"]), (Busy(), [])])
async def test_a_report_that_fails_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, told: list[str]
) -> None:
    reports: list[Any] = []
    has_reported = asyncio.Event()

    async def write(_work: Any, **arguments: Any) -> None:
        reports.append(arguments)
        if len(reports) == 1:
            raise failure
        has_reported.set()

    monkeypatch.setattr(reckon, "_REPORT_EVERY_S", 0)
    monkeypatch.setattr(reckon, "write_down", _nothing)
    log = Log()
    runtime: Any = SimpleNamespace(
        log=log,
        clock=SimpleNamespace(now=lambda: 1),
        bell=SimpleNamespace(look=_nothing, is_up=True),
        store=SimpleNamespace(write=write),
        base_url="http://here",
    )
    task = asyncio.create_task(reckon.keep_reporting(runtime, name="one", kind="serve", drains=dict))
    async with asyncio.timeout(5):
        await has_reported.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert log.told == told


async def test_models_that_cannot_be_learned_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    has_learned = asyncio.Event()

    async def learn_once(_runtime: Any, _learned: str) -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("odd")
        has_learned.set()
        return "hash"

    monkeypatch.setattr(learn, "learn_once", learn_once)
    monkeypatch.setattr(learn, "_AFTER_FAILURE_S", 0)
    log = Log()
    runtime: Any = SimpleNamespace(log=log)
    task = asyncio.create_task(learn._learn(runtime))
    async with asyncio.timeout(5):
        await has_learned.wait()
    task.cancel()
    assert log.told == ["models.failed"]
