"""Tells a webhook again what it has not heard, or has lost: the same message, under the same `webhook-id`."""

from __future__ import annotations

from orchestrator.bell import Kind
from orchestrator.errors import Conflict, NotFound
from orchestrator.runtime import Runtime
from orchestrator.store import delivery_log
from orchestrator.store.delivery_log import Told


async def find(runtime: Runtime, tenant_id: str, delivery_id: str) -> Told:
    found = await runtime.store.read(delivery_log.find, tenant_id=tenant_id, delivery_id=delivery_id)
    if found is None:
        raise NotFound("There is no such delivery.")
    return found


async def redeliver(runtime: Runtime, tenant_id: str, delivery_id: str, *, actor: str) -> Told:
    """The delivery afterwards. Raises NotFound, and Conflict while it is still being tried."""
    await find(runtime, tenant_id, delivery_id)
    is_due = await runtime.store.write(
        delivery_log.redeliver,
        tenant_id=tenant_id,
        delivery_id=delivery_id,
        actor=actor,
        now=runtime.clock.now(),
    )
    if not is_due:
        raise Conflict("Only a delivery that is dead or delivered can be sent again; this one is pending.")
    runtime.bell.ring(Kind.DELIVER)
    return await find(runtime, tenant_id, delivery_id)


async def redeliver_dead(runtime: Runtime, tenant_id: str, *, since: int, actor: str) -> int:
    """Send again all that have died since then, some at a time; answers how many."""
    until, count, after_id = runtime.clock.now(), 0, ""
    while True:
        ids = await runtime.store.write(
            delivery_log.redeliver_dead,
            tenant_id=tenant_id,
            since=since,
            until=until,
            after_id=after_id,
            actor=actor,
            now=runtime.clock.now(),
        )
        count += len(ids)
        if ids:
            runtime.bell.ring(Kind.DELIVER)
        if len(ids) < delivery_log.AT_A_TIME:
            return count
        after_id = ids[-1]


async def count_dead(runtime: Runtime, tenant_id: str, *, since: int) -> int:
    """How many `redeliver_dead` would send."""
    until = runtime.clock.now()
    return await runtime.store.read(delivery_log.count_dead, tenant_id=tenant_id, since=since, until=until)
