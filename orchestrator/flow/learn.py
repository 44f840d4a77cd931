"""Learns the provider's own model schemas, so that models without a page of ours are checked too."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack

from orchestrator.catalogue import models_answer
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.errors import ProviderTrouble
from orchestrator.runtime import Runtime

_EVERY_S = 3_600.0
_AFTER_FAILURE_S = 60.0


def start(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Ask now and each hour, in the background, until the stack closes."""
    learning = asyncio.create_task(_learn(runtime), name="learn")
    stack.callback(learning.cancel)


async def learn_once(runtime: Runtime, learned: str = "") -> str:
    """The hash of the answer that was read; "" when none could be: what is known stays then.

    An answer that is the one `learned` before says nothing new.
    """
    try:
        passed = await runtime.provider.ask("GET", "/api/v3/models")
        read = hashlib.sha256(passed.body).hexdigest()
        if read != learned:
            # 100 ms for 800 models: nobody else waits for that.
            runtime.catalogue = await asyncio.to_thread(_taught_by, passed.body)
    except ProviderTrouble as error:
        runtime.log.info("models.unread", because=str(error))
        return ""
    return read


def _taught_by(body: bytes) -> Catalogue:
    return Catalogue().with_provider_models(models_answer.decode(body))


async def _learn(runtime: Runtime) -> None:
    learned = ""
    while True:
        pause_s = _AFTER_FAILURE_S
        try:
            if read := await learn_once(runtime, learned):
                learned, pause_s = read, _EVERY_S
        except Exception:
            runtime.log.exception("models.failed")
        await asyncio.sleep(pause_s)
