"""What the questions to the provider cost the account's budget of them, and what a 429 to one does to all."""

from __future__ import annotations

import random

from orchestrator import policy
from orchestrator.evidence import Error, ErrorKind
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store import polls


async def may_ask(runtime: Runtime) -> bool:
    """Take one question out of the budget, for a task that is not due but hinted at."""
    now = runtime.clock.now()
    return bool(await runtime.store.write(polls.take_polls, account_id=ACCOUNT, most=1, now=now))


async def pay(runtime: Runtime, count: int) -> None:
    """Take questions that were asked already out of the budget."""
    now = runtime.clock.now()
    await runtime.store.write(polls.pay_polls, account_id=ACCOUNT, count=count, now=now)


async def heed(runtime: Runtime, error: Error | None) -> None:
    """A 429 to a poll or a look-up stops all of the account's for a while."""
    if error is None or error.kind != ErrorKind.THROTTLED:
        return
    pause_s = policy.poll_pause_s(error.retry_after_s, random.random())  # noqa: S311  jitter
    runtime.log.warning("polls.throttled", account=ACCOUNT, pause_s=round(pause_s, 1))
    await runtime.store.write(
        polls.throttle_polls, account_id=ACCOUNT, pause_s=pause_s, now=runtime.clock.now()
    )
