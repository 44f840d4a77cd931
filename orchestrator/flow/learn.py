"""Learns the provider's own model schemas, so that models without a page of ours are checked too."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from orchestrator.catalogue import models_answer
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.errors import InvalidInput, ProviderTrouble
from orchestrator.runtime import Runtime

_EVERY_S = 3_600.0
_AFTER_FAILURE_S = 60.0


def start(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Ask now and each hour, in the background, until the stack closes."""
    learning = asyncio.create_task(_learn(runtime), name="learn")
    stack.callback(learning.cancel)


async def learn_once(runtime: Runtime) -> bool:
    """Whether the provider's models could be read; what is known stays when not."""
    try:
        passed = await runtime.provider.ask("GET", "/api/v3/models")
        answer = models_answer.decode(passed.body)
    except (ProviderTrouble, InvalidInput) as error:
        runtime.log.info("models.unread", because=str(error))
        return False
    runtime.catalogue = Catalogue().with_provider_models(answer)
    return True


async def _learn(runtime: Runtime) -> None:
    while True:
        pause_s = _AFTER_FAILURE_S
        try:
            if await learn_once(runtime):
                pause_s = _EVERY_S
        except Exception:
            runtime.log.exception("models.failed")
        await asyncio.sleep(pause_s)
