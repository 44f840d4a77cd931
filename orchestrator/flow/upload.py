"""One request's lines on their way into a batch: read and checked in pieces, compared with what an earlier
request has brought, and stored while the rest still arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec

from orchestrator.bell import Kind
from orchestrator.clock import SECOND
from orchestrator.crash import crashpoint
from orchestrator.errors import BadLines, InvalidInput, TooLarge, TooMany
from orchestrator.flow.lines import NewBatch, read_line
from orchestrator.flow.sent_again import check_same
from orchestrator.job import Job
from orchestrator.runtime import Runtime
from orchestrator.store import batch_lines, batch_uploads, quotas
from orchestrator.store.batch_lines import ReceiverGone, Rejected
from orchestrator.store.batches import Batch
from orchestrator.store.creation import Creation
from orchestrator.store.trouble import DatabaseTrouble

MOST_LINES = 100_000
MOST_CHARACTERS = 200 * 1024 * 1024
"""Of all inputs together: what they share is stored with each of them."""
_SIZE_AT_A_TIME = 1024 * 1024
_AT_A_TIME = 500
# Half a millisecond of work.
_IN_ONE_TURN = 25
# How long a server that was killed keeps others from going on with the uploads that it received.
RECEIVER_MS = 12 * SECOND
_RENEW_S = 3.0


class Upload:
    """One request's lines on their way into a batch."""

    def __init__(
        self, runtime: Runtime, new: NewBatch, *, batch_id: str, receiver: str, stored_until: int
    ) -> None:
        """Lines up to `stored_until` have come before: they are compared and not stored again."""
        self._runtime = runtime
        self._new = new
        self._batch_id = batch_id
        self._receiver = receiver
        self._stored_until = stored_until
        self._custom_ids: dict[str, int] = {}
        self._told = 0
        self._read_until = 0
        self._compared_until = 0
        self._size = 0
        self._waiting_size = 0
        self._room: int | None = None
        self._most: int | None = None
        self._has_room = True
        self._writing: asyncio.Task[None] | None = None
        self.accepted: list[Creation] = []
        self.rejected: list[Rejected] = []
        self.total = 0

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """While this lasts no other request takes the batch over, however slowly its lines come."""
        renewing = asyncio.create_task(self._renew(), name="renew-upload")
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            until = self._runtime.clock.now() + RECEIVER_MS
            with contextlib.suppress(DatabaseTrouble):  # there is time for another try
                await self._runtime.store.write(
                    batch_uploads.keep, batch_id=self._batch_id, receiver=self._receiver, until=until
                )

    async def take(self, piece: Sequence[tuple[int, bytes]]) -> None:
        for _ in self.read(piece):
            if len(self.accepted) >= _AT_A_TIME or self._waiting_size > _SIZE_AT_A_TIME:
                await self._store()
            await asyncio.sleep(0)
            if self._writing is not None and self._writing.done():
                await self._written()
        if len(self.accepted) >= _AT_A_TIME // 2:  # the next piece may be long in coming
            await self._store()

    def read(self, piece: Sequence[tuple[int, bytes]]) -> Iterator[None]:
        """Read a piece, with pauses for what else goes on, such as the storing of the lines before."""
        for count, (number, raw) in enumerate(piece, start=1):
            self._read_line(number, raw)
            if count % _IN_ONE_TURN == 0 or self._waiting_size > _SIZE_AT_A_TIME:
                yield
        yield

    def _read_line(self, number: int, raw: bytes) -> None:
        self.total += 1
        self._read_until = number
        if self.total > MOST_LINES:
            raise InvalidInput("", f"a batch has at most {MOST_LINES:,} lines")
        line = read_line(self._runtime, self._new, self._batch_id, number=number, raw=raw)
        if isinstance(line, Creation) and line.job.custom_id is not None:
            line = self._once(line, line.job.custom_id)
        if isinstance(line, Rejected):
            self.rejected.append(line)
        else:
            self.accepted.append(line)
            self._waiting_size += len(line.input)
            self._size += len(line.input)
        if self._size > MOST_CHARACTERS:
            raise TooLarge("The inputs of all lines are together longer than 200 MB.")

    def drop(self) -> None:
        """Forget the lines that were read, for a dry run."""
        self.accepted = []
        self._waiting_size = 0

    def _once(self, line: Creation, custom_id: str) -> Creation | Rejected:
        first = self._custom_ids.setdefault(custom_id, _line(line))
        if first != _line(line):
            return Rejected(_line(line), custom_id, "custom_id", f"is that of line {first} already")
        return line

    async def check_size(self) -> None:
        """Raises InvalidInput for no lines at all, and for more jobs than this tenant may ever have."""
        self._refuse_emptiness()
        self._most = await self._runtime.store.read(quotas.most_queued, tenant_id=self._new.tenant_id)
        if not (self._new.is_atomic and self.rejected):
            self._refuse_what_never_fits()

    async def finish(self, digest: str) -> Batch:
        """Store what is left, and open the batch. Raises BadLines and InvalidInput: then discard it."""
        self._read_until = max(self._read_until, self._stored_until)
        await self._compare()
        self._refuse_emptiness()
        if self.rejected and (self._new.is_atomic or len(self.rejected) == self.total):
            raise _bad_lines(self.rejected, self.total)
        await self._store()
        if not self._has_room:
            limit = f"This tenant may have {self._most:,} jobs stored that have not ended"
            raise TooMany(f"{limit}, and there is no room for these; send them when some have ended.")
        await self._written()
        opened = await self._runtime.store.write_surely(
            batch_uploads.open_received,
            batch_id=self._batch_id,
            receiver=self._receiver,
            body_hash=digest,
            now=self._runtime.clock.now(),
        )
        if opened is None:
            raise ReceiverGone
        return opened

    async def leave(self) -> None:
        """Let another request go on; nobody can with a batch that has no key."""
        await self._break_off()
        if self._new.idempotency_key is None:
            await self.discard()
        else:
            await self._runtime.store.write(
                batch_uploads.leave, batch_id=self._batch_id, receiver=self._receiver
            )

    async def discard(self) -> None:
        await self._break_off()
        await self._runtime.store.write(
            batch_uploads.give_up, batch_id=self._batch_id, receiver=self._receiver
        )
        self._runtime.bell.ring(Kind.BATCH)

    async def _store(self) -> None:
        """Begin to, unless a bad line has come already that will refuse them all: the database stores one
        piece while the next one is read.
        """
        await self._compare()
        fresh = self.accepted
        self.drop()
        if self._new.is_atomic and self.rejected:
            return
        if not await self._has_room_for(len(fresh)):
            return
        rejected = self.rejected[self._told :]
        self._told += len(rejected)
        await self._written()
        self._writing = asyncio.create_task(self._write(fresh, rejected), name="store-lines")

    async def _write(self, accepted: Sequence[Creation], rejected: Sequence[Rejected]) -> None:
        await self._runtime.store.write(
            batch_lines.insert,
            batch_id=self._batch_id,
            receiver=self._receiver,
            receiver_until=self._runtime.clock.now() + RECEIVER_MS,
            accepted=accepted,
            rejected=rejected,
        )
        crashpoint("batch_lines_stored")

    async def _written(self) -> None:
        """Raises what the write of the piece before has raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def _break_off(self) -> None:
        """No piece is stored behind what follows."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _compare(self) -> None:
        """Drop the lines that an earlier upload has stored; exactly those must have come again."""
        first = self._compared_until + 1
        if first > self._stored_until:
            return
        self._compared_until = self._read_until
        stored = await self._runtime.store.read(
            batch_lines.stored, batch_id=self._batch_id, first=first, last=self._read_until
        )
        came: dict[int, Job | None] = {_line(one): one.job for one in self.accepted}
        came |= {one.line: None for one in self.rejected if one.line >= first}
        await check_same(self._runtime, came, stored, until=self._stored_until, batch_id=self._batch_id)
        self.accepted = [one for one in self.accepted if _line(one) > self._stored_until]

    async def _has_room_for(self, wanted: int) -> bool:
        """Within the tenant's limit, and the room that it left when the first lines were stored.

        Where there is none the rest is read and not stored: only all lines tell whether the batch can ever
        fit. Raises InvalidInput as soon as it cannot.
        """
        tenant = self._new.tenant_id
        if self._room is None:
            self._most = await self._runtime.store.read(quotas.most_queued, tenant_id=tenant)
            room = await self._runtime.store.read(quotas.room_in_queue, tenants=[tenant])
            self._room = room.get(tenant, MOST_LINES)
        self._room -= wanted
        self._has_room = self._room >= 0
        if not self._has_room:
            self._refuse_what_never_fits()
        return self._has_room

    def _refuse_emptiness(self) -> None:
        if not self.total:
            raise InvalidInput("", "the batch has no lines")

    def _refuse_what_never_fits(self) -> None:
        if self._most is not None and self.total - len(self.rejected) > self._most:
            raise InvalidInput(
                "", f"this batch has more than {self._most:,} jobs; this tenant may not have more stored"
            )


def _line(one: Creation) -> int:
    return one.job.line or 0


def _bad_lines(rejected: Sequence[Rejected], total: int) -> BadLines:
    """Refuses the whole batch and names every line that is to blame."""
    verb, noun = "is" if len(rejected) == 1 else "are", "line" if total == 1 else "lines"
    errors = [msgspec.structs.asdict(one) | {"custom_id": one.custom_id or ""} for one in rejected]
    return BadLines(f"{len(rejected)} of {total} {noun} {verb} wrong; nothing was stored.", errors)
