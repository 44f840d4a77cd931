"""Standing webhook endpoints of a tenant: made, changed, rotated, tried out and removed."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from orchestrator.bell import Kind
from orchestrator.clock import DAY
from orchestrator.errors import Conflict, NotFound
from orchestrator.ids import new_id
from orchestrator.runtime import Runtime
from orchestrator.sealing import Place, Unsealable
from orchestrator.signing import SECRET_PREFIX, Scheme
from orchestrator.store import endpoint_secrets, endpoints, outbox
from orchestrator.store.deliveries import Due, host_of
from orchestrator.store.endpoints import Endpoint
from orchestrator.store.idempotency import Once, do_once
from orchestrator.webhook_events import Event

_SECRET_BYTES = 32
_BOTH_SIGN_MS = DAY
_MOST_OLD_SECRETS = 5
# Between a sealed secret and the time until which it signs.
_UNTIL = "@"


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for, checked."""

    url: str
    events: tuple[str, ...]
    description: str = ""
    scheme: str = Scheme.V1
    is_enabled: bool = True


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be another; None leaves it as it is."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    scheme: str | None = None
    is_enabled: bool | None = None


async def create(
    runtime: Runtime, tenant_id: str, new: NewEndpoint, *, actor: str, once: Once | None = None
) -> tuple[Endpoint, str]:
    """The endpoint and its secret. Raises Conflict when the tenant has as many as it may, and Used."""
    now, secret = runtime.clock.now(), _new_secret()
    identifier = once.id if once else new_id(now)
    endpoint = Endpoint(
        id=identifier,
        tenant_id=tenant_id,
        url=new.url,
        host=host_of(new.url),
        events=" ".join(new.events),
        description=new.description,
        scheme=new.scheme,
        secret=runtime.sealer.seal(secret, _place(identifier)),
        created_at=now,
        disabled_at=None if new.is_enabled else now,
        disabled_because=None if new.is_enabled else endpoints.BY_OWNER,
    )
    given = {"new": endpoint, "actor": actor}
    if not await runtime.store.write(do_once, once=once, do=endpoints.insert, arguments=given):
        raise Conflict(f"A tenant has at most {endpoints.MOST_PER_TENANT} endpoints; remove one first.")
    return endpoint, secret


async def find(runtime: Runtime, tenant_id: str | None, endpoint_id: str) -> Endpoint:
    """With None as the tenant, whoever's it is. Raises NotFound."""
    found = await runtime.store.read(endpoints.find, tenant_id=tenant_id, endpoint_id=endpoint_id)
    if found is None:
        raise NotFound("There is no such endpoint.")
    return found


async def change(
    runtime: Runtime, tenant_id: str, endpoint_id: str, changes: Changes, *, actor: str
) -> Endpoint:
    """The endpoint afterwards. Raises NotFound."""
    changed = await runtime.store.write(
        endpoints.change,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        changes=_columns(changes),
        is_enabled=changes.is_enabled,
        actor=actor,
        now=runtime.clock.now(),
    )
    if changed is None:
        raise NotFound("There is no such endpoint.")
    return changed


async def remove(runtime: Runtime, tenant_id: str, endpoint_id: str, *, actor: str) -> None:
    """Raises NotFound."""
    is_removed = await runtime.store.write(
        endpoints.remove,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        actor=actor,
        now=runtime.clock.now(),
    )
    if not is_removed:
        raise NotFound("There is no such endpoint.")


async def rotate(
    runtime: Runtime, tenant_id: str, endpoint_id: str, *, actor: str, once: Once | None = None
) -> tuple[Endpoint, str]:
    """The endpoint with its new secret; for a day the old one signs as well, and older ones until their day
    is over, since their successor may never have been installed. Raises NotFound, and Used.
    """
    was, secret, now = await find(runtime, tenant_id, endpoint_id), _new_secret(), runtime.clock.now()
    older = [*_opened(runtime, was.secret, _place(was.id), now + _BOTH_SIGN_MS), *_older(runtime, was, now)]
    given = {
        "was": was,
        "secret": runtime.sealer.seal(secret, _place(was.id)),
        "old_secret": _sealed_together(runtime, was.id, older),
        "old_secret_until": now + _BOTH_SIGN_MS,
        "actor": actor,
        "now": now,
    }
    if not await runtime.store.write(do_once, once=once, do=endpoint_secrets.rotate, arguments=given):
        raise Conflict("Somebody else has just rotated or removed it.")
    return await find(runtime, tenant_id, endpoint_id), secret


async def secret_of(runtime: Runtime, tenant_id: str, endpoint_id: str) -> str:
    """Raises NotFound, and Conflict when nobody can read it any more."""
    found = await find(runtime, tenant_id, endpoint_id)
    try:
        return runtime.sealer.open(found.secret, _place(found.id))
    except Unsealable:
        raise Conflict(
            "The ORCHESTRATOR_SECRET that this secret was encrypted with is not in use any more: rotate it."
        ) from None


async def send_test(runtime: Runtime, tenant_id: str, endpoint_id: str, *, once: Once | None = None) -> str:
    """Have it told something at once; answers the delivery's id. Raises NotFound, Conflict if disabled, and
    Used.
    """
    endpoint = await find(runtime, tenant_id, endpoint_id)
    if endpoint.disabled_at is not None:
        raise Conflict("This endpoint is disabled: enable it first.")
    now = runtime.clock.now()
    given = {
        "endpoint": endpoint,
        "event": Event.ENDPOINT_TEST,
        "data": {"message": "This is a test.", "endpoint": endpoints.shown(endpoint)},
        "name": once.id if once else new_id(now),
        "now": now,
    }
    delivery_id: str = await runtime.store.write(do_once, once=once, do=outbox.tell_one, arguments=given)
    runtime.bell.ring(Kind.DELIVER)
    return delivery_id


def signing_secrets(runtime: Runtime, due: Due, at: int) -> list[str]:
    """What signs this attempt, newest first. Raises Unsealable.

    WaveSpeed's form has room for one signature: while secrets rotate the attempts take turns, the new one
    first, so that a receiver that knows one of the two refuses at most every other attempt.
    """
    if due.endpoint is None:
        known = runtime.webhook_secrets(due.tenant_id)
    else:
        known = _secrets_of(runtime, due.endpoint, at)
    return [known[due.failures % len(known)]] if due.scheme == Scheme.V3 else known


def _secrets_of(runtime: Runtime, endpoint: Endpoint, at: int) -> list[str]:
    found = [runtime.sealer.open(endpoint.secret, _place(endpoint.id))]
    return found + [older.secret for older in _older(runtime, endpoint, at)]


class _Older(NamedTuple):
    secret: str
    until: int


def _older(runtime: Runtime, endpoint: Endpoint, at: int) -> list[_Older]:
    """The secrets before this one that still sign, newest first; what cannot be opened signs nothing."""
    found: list[_Older] = []
    for part in (endpoint.old_secret or "").split():
        sealed, _, until = part.partition(_UNTIL)
        if at < min(int(until), endpoint.old_secret_until or 0):
            found += _opened(runtime, sealed, _old_place(endpoint.id), int(until))
    return found


def _opened(runtime: Runtime, sealed: str, place: Place, until: int) -> list[_Older]:
    try:
        return [_Older(runtime.sealer.open(sealed, place), until)]
    except Unsealable:
        return []


def _sealed_together(runtime: Runtime, endpoint_id: str, older: Sequence[_Older]) -> str | None:
    place = _old_place(endpoint_id)
    parts = [
        f"{runtime.sealer.seal(one.secret, place)}{_UNTIL}{one.until}" for one in older[:_MOST_OLD_SECRETS]
    ]
    return " ".join(parts) or None


async def reseal(runtime: Runtime) -> None:
    """Forget old secrets, and seal with today's key what was sealed with an older one."""
    await runtime.store.write(endpoint_secrets.forget_old, now=runtime.clock.now())
    prefix = runtime.sealer.prefix
    for was in await runtime.store.read(endpoint_secrets.sealed_otherwise, prefix=prefix):
        secret = _resealed(runtime, was.secret, _place(was.id))
        if secret is None:
            runtime.log.warning("endpoint.unsealable", endpoint=was.id)
            continue
        old_secret = _sealed_together(runtime, was.id, _older(runtime, was, runtime.clock.now()))
        await runtime.store.write(endpoint_secrets.reseal, was=was, secret=secret, old_secret=old_secret)


def _resealed(runtime: Runtime, sealed: str, place: Place) -> str | None:
    try:
        return runtime.sealer.seal(runtime.sealer.open(sealed, place), place)
    except Unsealable:
        return None


def _columns(changes: Changes) -> Mapping[str, str]:
    columns: dict[str, str] = {}
    if changes.url is not None:
        columns |= {"url": changes.url, "host": host_of(changes.url)}
    if changes.events is not None:
        columns["events"] = " ".join(changes.events)
    if changes.description is not None:
        columns["description"] = changes.description
    if changes.scheme is not None:
        columns["scheme"] = changes.scheme
    return columns


def _place(endpoint_id: str) -> Place:
    return Place("endpoints", "secret", endpoint_id)


def _old_place(endpoint_id: str) -> Place:
    return Place("endpoints", "old_secret", endpoint_id)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
