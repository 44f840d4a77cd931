"""The worker: drains, a bell that starts them, and a tick that trusts no ring.

The drains and the POSTs live in tasks of this module's own, so that nothing of arq cancels them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial

from orchestrator import policy
from orchestrator.bell import Kind
from orchestrator.clock import MINUTE
from orchestrator.drain import Drain, Slots
from orchestrator.errors import Busy
from orchestrator.flow import actions, deliver, poll, reckon, steps, submit, sweep
from orchestrator.flow.receivers import Receivers
from orchestrator.hearing import hear
from orchestrator.runtime import Runtime
from orchestrator.store import lane_clocks
from orchestrator.store.claims import Claim
from orchestrator.store.trouble import CommitLost

_TICK_S = 1.0
_OLD_EVERY_MS = 10 * MINUTE
# A claim costs a transaction, whether it brings one job or sixty: under load they keep a distance.
_CLAIMS_APART_S = 0.01


class Worker:
    """Runs until `stop`; any number of them share one database."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        is_beside_api: bool = False,
        on_tick: Callable[[], object] | None = None,
    ) -> None:
        """`on_tick` hears each second that this worker is alive.

        Beside the API in one process the bell rings the drains directly, so that Redis may be asked rarely.
        """
        self._runtime = runtime
        self._arq_poll_s = 0.25 if is_beside_api else 0.02
        self._on_tick = on_tick
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self._posts: dict[asyncio.Task[None], Claim] = {}
        """POSTs that are not settled yet; those of them that are not even answered hold a slot."""
        self._sending = 0
        self._slot_freed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._swept_at = 0
        self._is_stopping = False
        self._claimed_at = 0.0
        self._unheard: list[int] = []
        """When it claimed what, if anything, it was given without hearing of it."""
        self.drains = {
            Kind.SUBMIT: Drain("submit", self._submit_some, runtime.log),
            Kind.POLL: Drain("poll", self._poll_some, runtime.log),
            Kind.DELIVER: Drain("deliver", self._deliver_some, runtime.log),
            Kind.BATCH: Drain("batch", self._step_batches, runtime.log),
        }
        # Nobody rings these: the tick starts them, and waits for none, however much has come due at once.
        self._unrung = (
            Drain("sweep", self._sweep, runtime.log),
            Drain("upkeep", self._upkeep, runtime.log),
            Drain("figures", self._count_events, runtime.log),
        )
        self._polls = Slots(policy.POLLS_PER_WORKER, runtime.log)
        self._deliveries = Slots(policy.MOST_DELIVERIES, runtime.log)
        self._receivers = Receivers()
        self._look_again: asyncio.TimerHandle | None = None

    def start(self) -> None:
        starts = {kind: drain.start for kind, drain in self.drains.items()}
        for kind, start in starts.items():
            self._runtime.bell.listen(kind, start)
        self._tasks = [asyncio.create_task(self._tick(), name="tick")]
        if redis_url := self._runtime.settings.redis_url:
            hearing = hear(redis_url, starts, self._runtime.log, poll_s=self._arq_poll_s)
            self._tasks.append(asyncio.create_task(hearing, name="arq"))

    def drained(self) -> dict[str, int]:
        """When each drain last came to the end of its work, in ms."""
        offset = self._runtime.clock.now() - 1_000 * time.monotonic()
        drains = (*self.drains.values(), *self._unrung)
        return {one.name: round(offset + 1_000 * one.rested_at) for one in drains if one.rested_at}

    async def stop(self) -> None:
        """No new claims; work under way gets 7 s; a POST left then says itself that it is in doubt."""
        self._is_stopping = True
        self._slot_freed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        drains = (*self.drains.values(), *self._unrung)
        await asyncio.gather(*(drain.stop(grace_s=2.0) for drain in drains))
        await asyncio.gather(
            self._polls.stop(grace_s=1.0), self._deliveries.stop(grace_s=3.0), self._finish_posts()
        )

    async def _finish_posts(self) -> None:
        if not self._posts:
            return
        _, late = await asyncio.wait(self._posts, timeout=policy.STOP_GRACE_S - 2.0)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2.0)

    # The submit drain

    async def _submit_some(self) -> bool:
        await asyncio.sleep(max(0.0, self._claimed_at + _CLAIMS_APART_S - time.monotonic()))
        slots = await self._free_slots()
        if slots == 0:
            return False
        await self._give_back_unheard()
        self._claimed_at = claimed_at = time.monotonic()
        claims = await self._claim(slots)
        for claim in claims:
            self._post(claim, claimed_at)
        return len(claims) == slots

    async def _claim(self, slots: int) -> list[Claim]:
        now = self._runtime.clock.now()
        is_idle = not self._posts
        try:
            return await submit.claim(self._runtime, owner=self.name, slots=slots, is_idle=is_idle, now=now)
        except CommitLost:
            self._unheard.append(now)
            raise

    async def _give_back_unheard(self) -> None:
        while self._unheard:
            await submit.give_back_unheard(self._runtime, owner=self.name, claimed_at=self._unheard[0])
            del self._unheard[0]

    async def _free_slots(self) -> int:
        """How many POSTs may start now; waits for the first."""
        while self._sending >= policy.POSTS_PER_WORKER and not self._is_stopping:
            self._slot_freed.clear()
            await self._slot_freed.wait()
        if any(claim.attempt.is_solo for claim in self._posts.values()):
            await asyncio.wait(self._posts)
        if self._is_stopping:
            return 0
        return policy.POSTS_PER_WORKER - self._sending

    def _post(self, claim: Claim, claimed_at: float) -> None:
        self._sending += 1
        answered = _Once(self._answered)
        task = asyncio.create_task(
            submit.submit(self._runtime, claim, claimed_at=claimed_at, on_answer=answered)
        )
        self._posts[task] = claim
        task.add_done_callback(lambda task: self._settled(task, answered))

    def _answered(self) -> None:
        self._sending -= 1
        self._slot_freed.set()

    def _settled(self, task: asyncio.Task[None], answered: _Once) -> None:
        answered()
        claim = self._posts.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._runtime.log.error("submit.failed", job=claim.job.id, exc_info=error)

    # The other drains

    async def _poll_some(self) -> bool:
        slots = await self._polls.free()
        due = await poll.take_due(self._runtime, slots=slots)
        for check in due:
            self._polls.start(poll.ask(self._runtime, check))
        return len(due) == slots

    async def _deliver_some(self) -> bool:
        due, has_more = await deliver.take_due(self._runtime, self._receivers)
        for one in due:
            free, end = partial(self._free_place, one.id), partial(self._end_delivery, one.id)
            self._deliveries.start(deliver.deliver(self._runtime, one, self._receivers, on_answer=free), end)
        if self._receivers.is_crowded(time.monotonic()) and self._look_again is None:
            # Those that are not answered promptly give their places back without an end to tell of it.
            later = asyncio.get_running_loop().call_later
            self._look_again = later(policy.DELIVERY_PROMPT_S, self._deliver_again)
        return has_more

    def _deliver_again(self) -> None:
        self._look_again = None
        self.drains[Kind.DELIVER].start()

    def _free_place(self, delivery_id: str) -> None:
        """Once it is answered. It may be due again before it is recorded: its endpoint may have moved."""
        self._receivers.free(delivery_id)
        self.drains[Kind.DELIVER].start()  # others may wait for a place at this host

    def _end_delivery(self, delivery_id: str) -> None:
        """Once it is recorded, or has failed."""
        self._receivers.end(delivery_id)
        self.drains[Kind.DELIVER].start()

    async def _step_batches(self) -> bool:
        """Batches and actions in turns: neither waits for the end of the other."""
        has_more = [await take(self._runtime) for take in (steps.take_steps, actions.take_steps)]
        return any(has_more)

    async def _count_events(self) -> bool:
        return await reckon.count_events(self._runtime)

    async def _sweep(self) -> bool:
        await sweep.sweep_jobs(self._runtime)
        return False

    async def _upkeep(self) -> bool:
        await sweep.sweep_accounts(self._runtime)
        now = self._runtime.clock.now()
        if now - self._swept_at > _OLD_EVERY_MS:
            self._swept_at = now
            await sweep.sweep_old(self._runtime)
        return False

    # The tick

    async def _tick(self) -> None:
        """Each second: follow the database's clock, and start every drain, rung or not."""
        looks = (self._runtime.store.follow_clock, self._runtime.look_at_lanes)
        while True:
            started = time.monotonic()
            for upkeep in (*looks, self._put_lanes_right):
                await self._guarded(upkeep)
            for drain in (*self.drains.values(), *self._unrung):
                drain.start()
            if self._on_tick is not None:
                try:
                    self._on_tick()
                except OSError as error:  # such as a full disk: whoever looks will find the file old
                    self._runtime.log.warning("tick.untold", because=str(error))
            await asyncio.sleep(max(0.0, _TICK_S - (time.monotonic() - started)))

    async def _put_lanes_right(self) -> None:
        store = self._runtime.store
        if ahead := await store.read(lane_clocks.are_ahead):
            await store.write(lane_clocks.put_right, lanes=ahead)

    async def _guarded(self, upkeep: Callable[[], Awaitable[None]]) -> None:
        try:
            await upkeep()
        except Busy as trouble:
            self._runtime.log.warning("tick.waits", because=trouble.in_full)
        except Exception:
            self._runtime.log.exception("tick.failed")


class _Once:
    """Calls back the first time it is called."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        if self._call is not None:
            call, self._call = self._call, None
            call()
