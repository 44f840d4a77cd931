"""Tells a webhook again what it has not heard, or has lost: the same message, under the same `webhook-id`."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.bell import Kind
from orchestrator.errors import Conflict, NotFound
from orchestrator.runtime import Runtime
from orchestrator.store import delivery_log
from orchestrator.store.delivery_log import Dead, Told
from orchestrator.store.idempotency import Once, do_once


async def find(runtime: Runtime, tenant_id: str, delivery_id: str) -> Told:
    found = await runtime.store.read(delivery_log.find, tenant_id=tenant_id, delivery_id=delivery_id)
    if found is None:
        raise NotFound("There is no such delivery.")
    return found


async def redeliver(
    runtime: Runtime, tenant_id: str, delivery_id: str, *, actor: str, once: Once | None = None
) -> Told:
    """The delivery afterwards. Raises NotFound, Conflict while it is being sent or about to be, or when its
    endpoint is disabled or gone, and Used.
    """
    await find(runtime, tenant_id, delivery_id)
    if not await runtime.store.read(delivery_log.can_hear, tenant_id=tenant_id, delivery_id=delivery_id):
        raise Conflict("Its endpoint is disabled or was removed: nothing can be sent there.")
    given = {
        "tenant_id": tenant_id,
        "delivery_id": delivery_id,
        "actor": actor,
        "now": runtime.clock.now(),
    }
    if not await runtime.store.write(do_once, once=once, do=delivery_log.redeliver, arguments=given):
        raise Conflict("It is being sent already, or will be within half a minute.")
    runtime.bell.ring(Kind.DELIVER)
    return await find(runtime, tenant_id, delivery_id)


async def redeliver_dead(runtime: Runtime, dead: Dead, *, actor: str, once: Once | None = None) -> int:
    """Send again all of these, some at a time; answers how many. Raises Used, before anything is sent."""
    dead, count, after_id = _until_now(runtime, dead), 0, ""
    while True:
        given = {"dead": dead, "after_id": after_id, "actor": actor, "now": runtime.clock.now()}
        ids = await runtime.store.write(
            # Also where nothing has died: what dies later was not meant.
            do_once,
            once=once,
            do=delivery_log.redeliver_dead,
            arguments=given,
            counts=_always,
        )
        once = None
        count += len(ids)
        if ids:
            runtime.bell.ring(Kind.DELIVER)
        if len(ids) < delivery_log.AT_A_TIME:
            return count
        after_id = ids[-1]


async def count_dead(runtime: Runtime, dead: Dead) -> int:
    """How many `redeliver_dead` would send."""
    return await runtime.store.read(delivery_log.count_dead, dead=_until_now(runtime, dead))


def _always(_ids: list[str]) -> bool:
    return True


def _until_now(runtime: Runtime, dead: Dead) -> Dead:
    return replace(dead, until=min(dead.until, runtime.clock.now()))
