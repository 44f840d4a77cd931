"""Receives a batch line by line: checked and stored in pieces while the rest still arrives.

Its jobs are held until the last line is stored, so that nobody sees half a batch. An upload that
breaks off is gone on with by sending the same again under the same Idempotency-Key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from orchestrator.bell import Kind
from orchestrator.crash import crashpoint
from orchestrator.errors import BeingSent, Conflict, KeyUsed, Refused
from orchestrator.flow.lines import NewBatch
from orchestrator.flow.upload import RECEIVER_MS, Upload
from orchestrator.ids import new_id
from orchestrator.runtime import Runtime
from orchestrator.store import batch_lines, batch_uploads, batches
from orchestrator.store.batch_lines import ReceiverGone, Rejected
from orchestrator.store.batches import Batch
from orchestrator.store.trouble import RowRefused

_TAKEN_OVER = "This batch was taken over by another request, or given up, while its lines still came."


class Source(Protocol):
    """Where the lines come from."""

    def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """Numbered lines as they arrive, a few at a time. Raises Refused for a body that is too large."""
        ...

    def digest(self) -> str:
        """The hash of the whole body, once all pieces have come."""
        ...


class Received(msgspec.Struct, frozen=True):
    """The batch with the lines that it does without; `is_replay` says that it was here before."""

    batch: Batch
    rejected: list[Rejected]
    is_replay: bool = False


class Checked(msgspec.Struct, frozen=True):
    """What a dry run found."""

    total: int
    rejected: list[Rejected]


async def receive(runtime: Runtime, new: NewBatch, source: Source) -> Received:
    """Stored as a whole when this returns. Raises Refused, and Busy: the same again goes on with it."""
    upload = await _begin(runtime, new)
    if upload is None:
        return await _replay(runtime, new, source)
    try:
        async with runtime.uploads.one(), upload.kept():
            async for piece in source.pieces():
                await upload.take(piece)
            batch = await upload.finish(source.digest())
    except (ReceiverGone, RowRefused):
        # A row is refused when another request has stored the same line in the meantime.
        raise Conflict(_TAKEN_OVER) from None
    except Conflict:
        # Not what came before: what is stored stays for whoever sends that.
        await upload.leave()
        raise
    except Refused:
        await upload.discard()
        raise
    except BaseException:
        await upload.leave()
        raise
    crashpoint("batch_opened")
    runtime.bell.ring(Kind.BATCH)
    return Received(batch, upload.rejected)


async def check(runtime: Runtime, new: NewBatch, source: Source) -> Checked:
    """Check every line as `receive` would, and store nothing. Raises Refused for what can never be stored."""
    upload = Upload(runtime, new, batch_id=new_id(runtime.clock.now()), receiver="", stored_until=0)
    async for piece in source.pieces():
        for _ in upload.read(piece):
            upload.drop()
            await asyncio.sleep(0)
    await upload.check_size()
    return Checked(upload.total, upload.rejected)


async def _begin(runtime: Runtime, new: NewBatch) -> Upload | None:
    """The upload to take lines for; None when the batch is complete already."""
    now = runtime.clock.now()
    batch = Batch(
        id=new_id(now),
        tenant_id=new.tenant_id,
        name=new.name,
        mode="atomic" if new.is_atomic else "partial",
        model=new.model,
        state="receiving",
        created_at=now,
        request_hash=new.request_hash,
        idempotency_key=new.idempotency_key,
        receiver=new_id(now),
        receiver_until=now + RECEIVER_MS,
        webhook=new.webhook,
        webhook_scheme=new.webhook_scheme,
    )
    started = await runtime.store.write_surely(batch_uploads.start, new=batch)
    if started.request_hash != new.request_hash:
        raise _used_before(started)
    if started.state != "receiving":
        return None
    if started.receiver != batch.receiver:
        raise BeingSent()
    stored_until = 0
    if started.id != batch.id:
        stored_until = await runtime.store.read(batch_lines.last_line, batch_id=started.id)
    receiver = str(batch.receiver)
    return Upload(runtime, new, batch_id=started.id, receiver=receiver, stored_until=stored_until)


async def _replay(runtime: Runtime, new: NewBatch, source: Source) -> Received:
    async for _ in source.pieces():
        pass
    batch = await runtime.store.read(batches.find_by_key, tenant_id=new.tenant_id, key=new.idempotency_key)
    if batch is None or batch.body_hash != source.digest():
        raise _used_before(batch)
    rejected = await runtime.store.read(batch_lines.read_rejected, batch_id=batch.id)
    return Received(batch, rejected, is_replay=True)


def _used_before(batch: Batch | None) -> KeyUsed:
    """Whoever cannot send the same again, such as where a file is now, may still look after that batch."""
    return KeyUsed(made=f"batch {batch.id}" if batch else "")
