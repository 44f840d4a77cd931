"""The routes for API keys: an `admin` key manages those of its own tenant, the operator's those of all."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.clock import DAY, to_rfc3339
from orchestrator.errors import Conflict, Forbidden, InvalidInput
from orchestrator.flow import administer
from orchestrator.flow.administer import NewKey
from orchestrator.flow.schedule import read_time
from orchestrator.store import keys
from orchestrator.store.idempotency import Once
from orchestrator.store.keys import ADMIN, Key, NamedKey
from orchestrator.web.context import Context
from orchestrator.web.fields import read_with_body
from orchestrator.web.idempotent import answer_once
from orchestrator.web.query import Text
from orchestrator.web.wire import answer

Name = Annotated[str, Meta(min_length=1, max_length=100, description="printable, without a space at an end")]
_LONGEST_LIFETIME = 3_650 * DAY
TENANT = Text("tenant", "Only those of this tenant.")


class WantedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made; the tenant is the caller's own unless the operator names another."""

    name: Name
    tenant: str | None = None
    scopes: Annotated[tuple[Literal["submit", "read", "admin"], ...], Meta(min_length=1, max_length=3)] = (
        "submit",
        "read",
    )
    expires_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None


async def list_keys(request: Request) -> Response:
    """GET /api/v3/keys?tenant=: by tenant and age, never with the keys themselves."""
    here = Context.of(request)
    by = await here.authenticate(request, ADMIN)
    found = await here.runtime.store.read(keys.list_keys, tenant=TENANT.read(request))
    mine = [one for one in found if by.is_operator or one.key.tenant_id == by.tenant_id]
    return answer({"items": [shown(one, here.runtime.clock.now()) for one in mine]})


async def create_key(request: Request) -> Response:
    """POST /api/v3/keys: answers the key, this once."""
    here = Context.of(request)
    by = await here.authenticate(request, ADMIN)
    wanted, body = await read_with_body(request, WantedKey)

    async def first(once: Once | None) -> Response:
        now = here.runtime.clock.now()
        new = NewKey(
            name=checked_name(wanted.name),
            tenant=await _tenant_of(here, by, wanted.tenant),
            scopes=sorted(set(wanted.scopes)),
            expires_at=_expires_at(wanted.expires_at, now),
        )
        made, key = await administer.create_key(here.runtime, by, new, once=once)
        return answer(shown(made, now) | {"key": key}, headers={"cache-control": "no-store"})

    async def again(key_id: str) -> Response:
        raise await _told_once(here, key_id)

    return await answer_once(request, by.tenant_id, body, first=first, again=again)


async def revoke_key(request: Request) -> Response:
    """POST /api/v3/keys/{id}/revoke: servers refuse it within two seconds; twice is as once."""
    here = Context.of(request)
    by = await here.authenticate(request, ADMIN)
    revoked = await administer.revoke_key(here.runtime, by, request.path_params["id"])
    return answer(shown(revoked, here.runtime.clock.now()))


def checked_name(name: str) -> str:
    """Raises InvalidInput for one that people cannot tell apart on a screen."""
    if not name.isprintable() or name != name.strip():
        raise InvalidInput("name", "must be printable, and neither begin nor end with a space")
    return name


async def _told_once(here: Context, key_id: str) -> Conflict:
    """A key is kept as its hash alone: nobody can say it a second time."""
    made = await here.runtime.store.read(keys.find_named, key_id=key_id)
    which = "the API key" if made is None else f"the API key {made.name!r}"
    return Conflict(
        f"Idempotency-Key: {which} with the id {key_id} was made by this request before, and told once."
        " Should nobody know it, revoke it, and make another with another Idempotency-Key."
    )


async def _tenant_of(here: Context, by: Key, named: str | None) -> str:
    own = await here.runtime.store.read(keys.tenant_name, tenant_id=by.tenant_id)
    if named in (None, own):
        return own
    if not by.is_operator:
        raise Forbidden("tenant: only the operator makes keys for another tenant.")
    return str(named)


def _expires_at(expires_at: str | None, now: int) -> int | None:
    at = read_time({"expires_at": expires_at}, "expires_at")
    if at is not None and not now < at <= now + _LONGEST_LIFETIME:
        raise InvalidInput("expires_at", "must lie in the next ten years")
    return at


def shown(one: NamedKey, now: int) -> dict[str, Any]:
    key = one.key
    return {
        "id": key.id,
        "prefix": one.prefix,
        "name": one.name,
        "tenant": one.tenant,
        "scopes": sorted(key.scopes),
        "state": "revoked" if key.revoked_at is not None else "valid" if key.is_valid(now) else "expired",
        "created_at": to_rfc3339(one.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
    }


def _time(at: int | None) -> str:
    return "" if at is None else to_rfc3339(at)
