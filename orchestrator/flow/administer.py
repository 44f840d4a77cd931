"""What is ordered of keys, tenants, lanes and accounts, each in one commit with its line in the audit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from orchestrator.bell import Kind
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.ids import new_api_key
from orchestrator.runtime import Runtime
from orchestrator.store import audit, keys, lane_orders, sessions, tenants
from orchestrator.store.audit import Act
from orchestrator.store.idempotency import Once, do_once
from orchestrator.store.keys import Key, NamedKey, Refusal
from orchestrator.store.tenants import Terms


class By(Protocol):
    """Who orders: a key, or somebody who is logged in to the dashboard; `actor` is the name in the audit."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def is_operator(self) -> bool: ...


class NewKey(msgspec.Struct, frozen=True):
    """A key to be made; `expires_at` None is never."""

    name: str
    tenant: str
    scopes: Sequence[str]
    expires_at: int | None


class Order(msgspec.Struct, frozen=True):
    """One change: which store function, of what, with which arguments, and its name in the audit."""

    action: str
    subject: str
    work: Callable[..., Any]
    arguments: dict[str, Any]


async def create_key(
    runtime: Runtime, by: By, new: NewKey, *, once: Once | None = None
) -> tuple[NamedKey, str]:
    """The key's row and the key itself, which is nowhere else. Raises Conflict, InvalidInput and Used."""
    key = new_api_key()
    given = {"key": key, "now": runtime.clock.now(), "key_id": once.id if once else None}
    given |= msgspec.structs.asdict(new)
    order = Order("create key", f"{new.tenant}/{new.name}", keys.create_key, given)
    made = await _do(runtime, by, order, once=once)
    if made is Refusal.NO_TENANT:
        raise InvalidInput("tenant", "names no tenant")
    if made is Refusal.NAME_TAKEN:
        raise Conflict(f"{new.tenant} has a key {new.name!r} already; revoke that, or take another name.")
    return made, key


async def revoke_key(runtime: Runtime, by: By, key_id: str) -> NamedKey:
    """Raises NotFound, for another tenant's as well unless the operator asks."""
    owner = None if by.is_operator else by.tenant_id
    given = {"key_id": key_id, "tenant_id": owner, "now": runtime.clock.now()}
    revoked: NamedKey | None = await _do(runtime, by, Order("revoke key", key_id, keys.revoke_by_id, given))
    if revoked is None:
        raise NotFound("There is no such key.")
    return revoked


async def make_login_link(runtime: Runtime, by: Key, *, is_logged: bool = True) -> tuple[str, int]:
    """A token that logs in to the dashboard once, as the owner of this key, and until when it does."""
    token = secrets.token_urlsafe(32)
    given = {"token": token, "key_id": by.id, "now": runtime.clock.now()}
    order = Order("make login link", by.id, sessions.make_link, given)
    return token, await _do(runtime, by, order, is_logged=is_logged)


async def add_tenant(runtime: Runtime, by: By, name: str, terms: Terms, *, once: Once | None = None) -> None:
    """Raises Conflict, and Used."""
    given = {"name": name, "terms": terms, "now": runtime.clock.now()}
    order = Order(_told("add tenant", terms), name, tenants.add_tenant, given)
    if not await _do(runtime, by, order, once=once):
        raise Conflict(f"There is a tenant {name!r} already.")


async def change_tenant(runtime: Runtime, by: By, name: str, terms: Terms) -> None:
    """Raises NotFound."""
    given = {"name": name, "terms": terms}
    if not await _do(runtime, by, Order(_told("change tenant", terms), name, tenants.change_tenant, given)):
        raise NotFound("There is no such tenant.")
    runtime.bell.ring(Kind.SUBMIT)  # it may have room now


async def pause_lane(runtime: Runtime, by: By, lane: str, *, for_ms: int | None, because: str) -> None:
    """For ever, with None. Raises NotFound."""
    until = lane_orders.FOREVER if for_ms is None else runtime.clock.now() + for_ms
    given = {"lane": lane, "until": until, "because": because}
    await _order(runtime, by, Order(f"pause lane: {because}", lane, lane_orders.stop_lane, given))


async def resume_lane(runtime: Runtime, by: By, lane: str) -> None:
    """Raises NotFound."""
    await _order(runtime, by, Order("resume lane", lane, lane_orders.resume_lane, {"lane": lane}))


async def set_rate(runtime: Runtime, by: By, lane: str, per_minute: int | None) -> None:
    """None goes back to what the settings say. Raises NotFound."""
    limits = runtime.settings.limits
    usual = limits.video_per_minute if lane.endswith("/video") else limits.image_per_minute
    given = {"lane": lane, "per_minute": per_minute or usual, "is_fixed": per_minute is not None}
    action = f"set per_minute to {per_minute or 'usual'}"
    await _order(runtime, by, Order(action, lane, lane_orders.set_rate, given))


async def set_slots(runtime: Runtime, by: By, account: str, max_in_flight: int | None) -> None:
    """None goes back to what the settings say. Raises NotFound."""
    most = max_in_flight or runtime.settings.limits.max_in_flight
    given = {"account": account, "max_in_flight": most, "is_fixed": max_in_flight is not None}
    action = f"set max_in_flight to {max_in_flight or 'usual'}"
    await _order(runtime, by, Order(action, account, lane_orders.set_slots, given))


async def _order(runtime: Runtime, by: By, order: Order) -> None:
    if not await _do(runtime, by, order):
        raise NotFound("There is no such lane or account.")
    await runtime.look_at_lanes()
    runtime.bell.ring(Kind.SUBMIT)  # more may be sent now


async def _do(
    runtime: Runtime, by: By, order: Order, *, is_logged: bool = True, once: Once | None = None
) -> Any:
    act = Act(tenant_id=by.tenant_id, actor=by.actor, action=order.action, subject=order.subject)
    given = {"act": act, "now": runtime.clock.now(), "do": order.work, "arguments": order.arguments}
    done = await runtime.store.write(do_once, once=once, do=audit.audited, arguments=given)
    if is_logged and audit.is_done(done):
        runtime.log.info("administered", actor=act.actor, action=act.action, object=act.subject)
    return done


def _told(action: str, terms: Terms) -> str:
    changes = ", ".join(f"{name} {value}" for name, value in msgspec.to_builtins(terms).items())
    return f"{action}: {changes}" if changes else action
