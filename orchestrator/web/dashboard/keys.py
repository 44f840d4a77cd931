"""API keys: who has one, what it may do, when it was last used; made here, shown once, and revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.datastructures import FormData

from orchestrator.clock import DAY
from orchestrator.errors import InvalidInput, Refused
from orchestrator.flow import administer
from orchestrator.flow.administer import NewKey
from orchestrator.store import keys, tenants
from orchestrator.store.keys import NamedKey
from orchestrator.web.dashboard.forms import text_of
from orchestrator.web.dashboard.pages import Done, Look, Shown
from orchestrator.web.keys import checked_name

_LONGEST_NAME = 100
_SCOPES = (
    ("read", "see everything of its tenant"),
    ("submit", "send, cancel and retry jobs"),
    ("admin", "manage keys and endpoints"),
)
_LIFETIMES = (
    ("", "never"),
    ("1", "1 day"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "a year"),
)


class Row(msgspec.Struct, frozen=True):
    """A key as its row shows it; `is_own` is the one that this viewer is logged in with."""

    named: NamedKey
    state: str
    scopes: str
    is_own: bool


async def load(look: Look) -> Mapping[str, Any]:
    return await _shown(look)


async def create(look: Look, form: FormData) -> Shown:
    """Shows the key this once, or what was wrong at its field."""
    typed = {name: text_of(form, name).strip() for name in ("name", "tenant", "days")}
    scopes = [scope for scope, _ in _SCOPES if scope in form.getlist("scope")]
    try:
        new = NewKey(
            name=_name(typed["name"]),
            tenant=await _tenant(look, typed["tenant"]),
            scopes=scopes or _no_scope(),
            expires_at=_expires_at(typed["days"], look.now),
        )
        made, key = await administer.create_key(look.runtime, look.viewer, new)
    except Refused as wrong:
        field = wrong.field if isinstance(wrong, InvalidInput) else "name"
        said = str(wrong).removeprefix(f"{field}: ")
        again = await _shown(look, typed=typed, scopes=scopes, errors={field: said})
        return Shown("keys", again, status=wrong.status)
    return Shown("keys", await _shown(look, made=made, key=key), status=200)


async def revoke(look: Look, _form: FormData) -> Done:
    """Raises NotFound."""
    revoked = await administer.revoke_key(look.runtime, look.viewer, look.request.path_params["id"])
    return Done(f"The key {revoked.name} is revoked; servers refuse it within two seconds.")


def _name(name: str) -> str:
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidInput("name", f"must have 1 to {_LONGEST_NAME} characters")
    return checked_name(name)


async def _tenant(look: Look, named: str) -> str:
    """Only the operator makes keys for others. Raises InvalidInput."""
    if not look.viewer.is_operator or not named:
        return look.viewer.tenant
    if named not in (await look.runtime.store.read(tenants.names)).values():
        raise InvalidInput("tenant", "names no tenant")
    return named


def _no_scope() -> list[str]:
    raise InvalidInput("scopes", "must hold at least one: a key without any is of no use")


def _expires_at(days: str, now: int) -> int | None:
    if days not in dict(_LIFETIMES):
        raise InvalidInput("days", "must be one of the list")
    return now + int(days) * DAY if days else None


async def _shown(
    look: Look,
    *,
    typed: Mapping[str, str] | None = None,
    scopes: list[str] | None = None,
    errors: Mapping[str, str] | None = None,
    made: NamedKey | None = None,
    key: str = "",
) -> Mapping[str, Any]:
    viewer, store = look.viewer, look.runtime.store
    found = await store.read(keys.list_keys, tenant=None if viewer.is_operator else viewer.tenant)
    rows = [_row(look, one) for one in found]
    return {
        # What is shown this once, or said of a form, would be gone.
        "is_live": not (key or errors),
        "rows": sorted(rows, key=lambda row: row.state != "valid"),
        "tenants": list((await store.read(tenants.names)).values()) if viewer.is_operator else [],
        "scopes": _SCOPES,
        "lifetimes": _LIFETIMES,
        "typed": {"name": "", "tenant": viewer.tenant, "days": ""} | dict(typed or {}),
        "chosen": ["read", "submit"] if scopes is None else scopes,
        "errors": dict(errors or {}),
        "made": made,
        "key": key,
    }


def _row(look: Look, one: NamedKey) -> Row:
    key = one.key
    state = "revoked" if key.revoked_at is not None else "valid" if key.is_valid(look.now) else "expired"
    scopes = " ".join(scope for scope, _ in _SCOPES if scope in key.scopes)
    return Row(one, state, scopes, key.id == look.viewer.key_id)
