"""API keys of tenants; a key is stored as its SHA-256 and shown once, when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import MINUTE
from orchestrator.ids import key_digest, key_prefix, new_id
from orchestrator.store import dialect, many_rows, tenants
from orchestrator.store.tenants import Terms

FIRST_TENANT = "default"
ADMIN = "admin"
ALL_SCOPES = "admin read submit"
# The last use of a key is kept this exactly, so that using it costs a write a minute.
USED_EVERY_MS = MINUTE


class Key(msgspec.Struct, frozen=True):
    """Whose key it is and what it may do.

    A tenant's `admin` keys manage that tenant's own keys. The **operator** is whoever has an `admin` key of
    the first tenant, `default`: he alone manages what all tenants share, and may do for another tenant what
    its own `admin` keys may.
    """

    id: str
    tenant_id: str
    scopes: frozenset[str]
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None = None
    is_of_first_tenant: bool = False

    @property
    def is_operator(self) -> bool:
        return self.is_of_first_tenant and ADMIN in self.scopes

    @property
    def actor(self) -> str:
        """How the audit names whoever uses it."""
        return f"key {self.id}"

    def is_valid(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def is_use_news(self, now: int) -> bool:
        """Whether using it now is worth writing down."""
        return self.last_used_at is None or self.last_used_at <= now - USED_EVERY_MS


class NamedKey(msgspec.Struct, frozen=True):
    """A key as its people know it: everything but the key itself."""

    key: Key
    tenant: str
    name: str
    prefix: str
    created_at: int


class Refusal(Enum):
    """Why a key was not made."""

    NO_TENANT = "no such tenant"
    NAME_TAKEN = "another key of the tenant has this name"


_KEY_COLUMNS = "k.id, k.tenant_id, k.scopes, k.expires_at, k.revoked_at, k.last_used_at, t.name"
_FROM = "FROM api_keys k JOIN tenants t ON t.id = k.tenant_id"
_NAMED = f"SELECT {_KEY_COLUMNS}, k.name, k.prefix, k.created_at {_FROM}"


def ensure_first_key(connection: Connection, *, key: str, now: int) -> None:
    """Make the first tenant, and give it this key with all rights unless it has it already."""
    tenants.add_tenant(connection, name=FIRST_TENANT, terms=Terms(), now=now)
    tenant = connection.execute(
        dialect.sql("SELECT id FROM tenants WHERE name = :name"), {"name": FIRST_TENANT}
    ).scalar_one()
    first = Key(new_id(now), tenant, frozenset(ALL_SCOPES.split()), expires_at=None, revoked_at=None)
    row = _row(first, key=key, name="first key", now=now)
    many_rows.insert_many(connection, "api_keys", [row], on_conflict="DO NOTHING")


def find_key(connection: Connection, *, digest: str) -> Key | None:
    """The key with this SHA-256, valid or not."""
    found = connection.execute(
        dialect.sql(f"SELECT {_KEY_COLUMNS} {_FROM} WHERE k.digest = :digest"), {"digest": digest}
    ).first()
    return _to_key(found) if found else None


def tenant_name(connection: Connection, *, tenant_id: str) -> str:
    named = connection.execute(
        dialect.sql("SELECT name FROM tenants WHERE id = :id"), {"id": tenant_id}
    ).scalar_one()
    return str(named)


def list_keys(connection: Connection, *, tenant: str | None = None) -> list[NamedKey]:
    """Of one tenant or of all, by tenant and age."""
    condition = "" if tenant is None else " WHERE t.name = :tenant"
    found = connection.execute(
        dialect.sql(f"{_NAMED}{condition} ORDER BY t.name, k.id"),
        {} if tenant is None else {"tenant": tenant},
    )
    return [_to_named(row) for row in found]


def find_named(connection: Connection, *, key_id: str) -> NamedKey | None:
    """Whosever it is, valid or not."""
    found = connection.execute(dialect.sql(f"{_NAMED} WHERE k.id = :id"), {"id": key_id}).first()
    return _to_named(found) if found else None


def create_key(
    connection: Connection,
    *,
    key: str,
    name: str,
    tenant: str,
    scopes: Sequence[str],
    expires_at: int | None,
    now: int,
    key_id: str | None = None,
) -> NamedKey | Refusal:
    """A name is free again once its key is revoked."""
    owner = connection.execute(
        # Locked, so that two keys made at once do not both find their name free.
        dialect.sql("SELECT id FROM tenants WHERE name = :tenant" + dialect.lock(connection.dialect.name)),
        {"tenant": tenant},
    ).scalar()
    if owner is None:
        return Refusal.NO_TENANT
    taken = connection.execute(
        dialect.sql(
            "SELECT 1 FROM api_keys WHERE tenant_id = :owner AND name = :name AND revoked_at IS NULL"
        ),
        {"owner": owner, "name": name},
    ).first()
    if taken is not None:
        return Refusal.NAME_TAKEN
    made = Key(
        key_id or new_id(now),
        owner,
        frozenset(scopes),
        expires_at,
        revoked_at=None,
        is_of_first_tenant=tenant == FIRST_TENANT,
    )
    row = _row(made, key=key, name=name, now=now)
    many_rows.insert_many(connection, "api_keys", [row])
    return NamedKey(made, tenant, name, key_prefix(key), now)


def revoke_key(connection: Connection, *, given: str, now: int) -> list[NamedKey]:
    """The keys with this prefix or name that are not revoked yet; revoked now if it is exactly one."""
    found = connection.execute(
        dialect.sql(
            f"{_NAMED} WHERE (k.prefix = :given OR k.name = :given) AND k.revoked_at IS NULL"
            " ORDER BY t.name, k.id"
        ),
        {"given": given},
    )
    matching = [_to_named(row) for row in found]
    if len(matching) == 1:
        connection.execute(
            dialect.sql("UPDATE api_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL"),
            {"id": matching[0].key.id, "now": now},
        )
    return matching


def revoke_by_id(connection: Connection, *, key_id: str, tenant_id: str | None, now: int) -> NamedKey | None:
    """The key afterwards, of this tenant or, with None, of any; None when there is none. Twice is as once."""
    owned = "" if tenant_id is None else " AND tenant_id = :tenant"
    asked = {"id": key_id} | ({} if tenant_id is None else {"tenant": tenant_id})
    connection.execute(
        dialect.sql(f"UPDATE api_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL{owned}"),
        asked | {"now": now},
    )
    owned = "" if tenant_id is None else " AND k.tenant_id = :tenant"
    found = connection.execute(dialect.sql(f"{_NAMED} WHERE k.id = :id{owned}"), asked).first()
    return _to_named(found) if found else None


def record_use(connection: Connection, *, ids: Sequence[str], now: int) -> None:
    """These keys were used now; a use within a minute of the last one known changes nothing."""
    wanted = dialect.one_of(connection.dialect.name, "id")
    connection.execute(
        dialect.sql(
            f"UPDATE api_keys SET last_used_at = :now WHERE {wanted}"
            " AND (last_used_at IS NULL OR last_used_at <= :old)"
        ),
        {"ids": dialect.to_json(ids), "now": now, "old": now - USED_EVERY_MS},
    )


def record_audit(
    connection: Connection, *, tenant_id: str, actor: str, action: str, subject: str, now: int
) -> None:
    """Who did what to which object."""
    connection.execute(
        dialect.sql(
            "INSERT INTO audit (id, tenant_id, at, actor, action, object)"
            " VALUES (:id, :tenant, :now, :actor, :action, :object)"
        ),
        {
            "id": new_id(now),
            "tenant": tenant_id,
            "now": now,
            "actor": actor,
            "action": action,
            "object": subject,
        },
    )


def _row(made: Key, *, key: str, name: str, now: int) -> dict[str, Any]:
    return {
        "id": made.id,
        "tenant_id": made.tenant_id,
        "name": name,
        "prefix": key_prefix(key),
        "digest": key_digest(key),
        "scopes": " ".join(sorted(made.scopes)),
        "created_at": now,
        "expires_at": made.expires_at,
    }


def _to_key(row: Sequence[Any]) -> Key:
    return Key(row[0], row[1], frozenset(row[2].split()), row[3], row[4], row[5], row[6] == FIRST_TENANT)


def _to_named(row: Sequence[Any]) -> NamedKey:
    return NamedKey(_to_key(row), row[6], row[7], row[8], row[9])
