"""What the questions to the provider cost the account's budget of them, and what a 429 to one does to all."""

from __future__ import annotations

import random

from orchestrator import policy
from orchestrator.evidence import Error, ErrorKind
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store import polls


async def may_ask(runtime: Runtime) -> bool:
    """Take one question out of the budget, for a task that is not due but hinted at."""
    return await take(runtime, 1) == 1


async def take(runtime: Runtime, most: int) -> int:
    """Take so many questions out of the budget, or as many as are left; says how many."""
    now = runtime.clock.now()
    return await runtime.store.write(polls.take_polls, account_id=ACCOUNT, most=most, now=now)


async def heed(runtime: Runtime, error: Error | None) -> None:
    """A 429 to a poll or a look-up stops all of the account's for a while."""
    if error is None or error.kind != ErrorKind.THROTTLED:
        return
    pause_s = policy.poll_pause_s(error.retry_after_s, random.random())  # noqa: S311  jitter
    runtime.log.warning("polls.throttled", account=ACCOUNT, pause_s=round(pause_s, 1))
    await runtime.store.write(
        polls.throttle_polls, account_id=ACCOUNT, pause_s=pause_s, now=runtime.clock.now()
    )
