"""The provider's models are read beside other work, and only when they say something new."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.flow.learn import learn_once
from orchestrator.providers.base import Passed
from tests.flow.test_alike import MODEL, MODELS_ANSWER

READ = json.dumps(MODELS_ANSWER).encode()


class Provider:
    """Answers at once, so that only the reading is left to wait for."""

    body = READ

    async def ask(self, _method: str, _path: str) -> Passed:
        return Passed(status=200, body=self.body)


class Log:
    def __init__(self) -> None:
        self.told: list[str] = []

    def info(self, event: str, **_: Any) -> None:
        self.told.append(event)


@pytest.fixture
def runtime() -> Any:
    return SimpleNamespace(provider=Provider(), catalogue=Catalogue(), log=Log())


async def test_models_are_read_again_only_when_the_answer_is_another(runtime: Any) -> None:
    first = await learn_once(runtime)
    learned = runtime.catalogue
    assert learned.page(MODEL, "v3") is not None
    assert await learn_once(runtime, first) == first
    assert runtime.catalogue is learned

    runtime.provider.body = b'{"code":200,"data":[]}'
    assert await learn_once(runtime, first) != first
    assert runtime.catalogue.page(MODEL, "v3") is None


async def test_an_answer_that_cannot_be_read_leaves_what_is_known(runtime: Any) -> None:
    first = await learn_once(runtime)
    learned = runtime.catalogue
    runtime.provider.body = b'{"code":200,"data":{}}'
    assert await learn_once(runtime, first) == ""
    assert (runtime.catalogue is learned, runtime.log.told) == (True, ["models.unread"])


async def test_others_go_on_while_models_are_read(runtime: Any) -> None:
    turns = 0

    async def go_on() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(go_on())
    await learn_once(runtime)
    other.cancel()
    assert turns > 0
    runtime.catalogue.check(MODEL, "v3", {"prompt": "a lake"})
