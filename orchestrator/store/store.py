"""The store as the flows see it: create a job, change a job, claim jobs, and run any of this
package's functions in a transaction of its own.

Creations, changes and attempts of deliveries share one group writer, so that one commit carries everything
that happened in the same few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection

from orchestrator.clock import Clock
from orchestrator.decision import Applied, Decide
from orchestrator.ids import id_time, new_id
from orchestrator.store import endpoint_health, idempotency, lanes, tallies
from orchestrator.store.changes import Change, Seen, apply_uncounted
from orchestrator.store.creation import Created, Creation, apply_creations
from orchestrator.store.database import Database, database_now
from orchestrator.store.deliveries import Attempted
from orchestrator.store.group import Grouper
from orchestrator.store.idempotency import Once
from orchestrator.store.lanes import Share, share_of
from orchestrator.store.looks import Look
from orchestrator.store.trouble import CommitLost, DatabaseTrouble

T = TypeVar("T")
W = TypeVar("W")

_PROMPT_MS = 5_000
# Clients wait ten seconds at least, and so does whoever stops a server.
_LOST_COMMIT_S = 6.0
_AGAIN_S = 0.2


def _unheard() -> None:
    """Nobody wants to know."""


class Store:
    """One database with its group writer; `clock` follows the database's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.on_commit: Callable[[], None] = _unheard
        """Called after each write of this process."""
        self._known_shares: set[Share] = set()
        self._group: Grouper[Creation | Change | Attempted] = Grouper(database, self._apply)

    async def create(self, creation: Creation, *, is_wanted: Callable[[], bool] | None = None) -> Created:
        """Stored when this returns. Busy when the database is in trouble: then nothing is stored.

        CommitLost, a Busy too, when the database stayed away after it may have stored it. Unwanted where
        `is_wanted` said no before it was its turn: then nothing is stored either.
        """
        try:
            created: Created = await self._group.put(creation, is_wanted=is_wanted)
        except CommitLost as lost:
            created = await _again(lambda: self._group.put(creation, may_be_written=True), lost)
        self.on_commit()
        if created.job.id == creation.job.id:
            self._known_shares.add(share_of(creation.job))
        return created

    async def change(
        self,
        job_id: str,
        decide: Decide,
        *,
        source: str,
        attempt: int | None = None,
        tenant_id: str | None = None,
        callback: Seen | None = None,
        once: Once | None = None,
    ) -> Applied | None:
        """Run `decide` on the locked rows and write what it says; None when there is no such job.

        With `once` it is a transaction of its own, tried once, which a move counts for; the next time it
        raises Used.
        """
        change = Change(
            job_id=job_id,
            decide=decide,
            source=source,
            event_id=new_id(self.clock.now()),
            attempt=attempt,
            tenant_id=tenant_id,
            callback=callback,
        )
        if once is not None:
            return await self.write(_change_under_key, change=change, once=once, now=self.clock.now())
        applied: Applied | None = await self._group.put(change)
        self.on_commit()
        return applied

    async def record(self, attempted: Attempted) -> bool:
        """Keep an attempt of a delivery; True when its endpoint has been disabled by it."""
        has_disabled: bool = await self._group.put(attempted)
        return has_disabled

    async def write(self, work: Callable[..., T], **arguments: Any) -> T:
        """Run `work(connection, **arguments)` in a write transaction."""
        written = await self.database.write(lambda connection: work(connection, **arguments))
        self.on_commit()
        return written

    async def write_surely(self, work: Callable[..., T], **arguments: Any) -> T:
        """The same for work that may be done twice: again where nobody knows whether it was committed."""
        try:
            return await self.write(work, **arguments)
        except CommitLost as lost:
            return await _again(lambda: self.write(work, **arguments), lost)

    async def read(self, work: Callable[..., T], **arguments: Any) -> T:
        return await self.database.read(lambda connection: work(connection, **arguments))

    async def search(self, look: Callable[..., Look[T, W]], *, wanted: W, **arguments: Any) -> list[T]:
        """All of a page, in as many looks as that takes, each a question of its own."""
        seen = await self.read(look, wanted=wanted, **arguments)
        items = seen.items
        while seen.rest is not None:
            await asyncio.sleep(0)  # on SQLite nothing here waits: let the others have their turn
            seen = await self.read(look, wanted=seen.rest, **arguments)
            items += seen.items
        return items

    async def follow_clock(self) -> None:
        """Take the database's time as the truth; each process does so every second."""
        began = time.monotonic()
        now = await self.database.read(database_now)
        self.clock.follow(now, took_ms=1_000 * (time.monotonic() - began))

    async def close(self) -> None:
        await self._group.close()
        await self.database.close()

    def _apply(
        self, connection: Connection, /, *, items: Sequence[Creation | Change | Attempted], is_retry: bool
    ) -> Sequence[Any]:
        now = self.clock.now()
        creations = [item for item in items if isinstance(item, Creation)]
        changes = [item for item in items if isinstance(item, Change)]
        # Cursors pass ids that are older than a commit usually takes.
        late = [one.job for one in creations if id_time(one.job.id) < now - _PROMPT_MS]
        # Changes first: one of them may say that a client is gone, and a creation be that client again.
        done = (
            apply_uncounted(connection, changes, now=now, is_retry=is_retry, late=late) if changes else None
        )
        changed = iter(() if done is None else done.results)
        created = iter(
            apply_creations(
                connection, creations, now=now, known_shares=self._known_shares, is_retry=is_retry
            )
            if creations
            else ()
        )
        attempts = [item for item in items if isinstance(item, Attempted)]
        recorded = iter(endpoint_health.record_attempts(connection, attempts))
        following = {Creation: created, Change: changed, Attempted: recorded}
        results = [next(following[type(item)]) for item in items]
        lanes.reopen(connection, late)  # again, for shares that are new
        if done is not None:  # batches are locked last of all, behind jobs and shares: as claims do
            tallies.count(connection, done.pairs, endings=done.endings, now=now)
        return results


def _change_under_key(connection: Connection, *, change: Change, once: Once, now: int) -> Applied | None:
    """Jobs, lanes and shares are locked before keys, and keys before batches, as a group does it."""
    done = apply_uncounted(connection, [change], now=now, is_retry=False)
    [applied] = done.results
    if applied is not None and applied.move is not None:
        idempotency.take_own(connection, once=once)
    else:
        idempotency.require_free(connection, once=once)
    tallies.count(connection, done.pairs, endings=done.endings, now=now)
    return applied


async def _again(write: Callable[[], Awaitable[T]], lost: CommitLost) -> T:
    """Write the same until the database says that it is there, old or new."""
    give_up_at = time.monotonic() + _LOST_COMMIT_S
    while time.monotonic() < give_up_at:
        await asyncio.sleep(_AGAIN_S)
        with contextlib.suppress(DatabaseTrouble):
            return await write()
    raise lost
