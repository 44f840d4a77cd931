"""Tenants and their API keys; a key is stored as its SHA-256 and shown once, when it is made."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.ids import key_digest, key_prefix, new_id
from orchestrator.store import dialect

FIRST_TENANT = "default"
ALL_SCOPES = "admin read submit"


class Key(msgspec.Struct, frozen=True):
    """Whose key it is and what it may do."""

    id: str
    tenant_id: str
    scopes: frozenset[str]
    expires_at: int | None
    revoked_at: int | None

    def is_valid(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def ensure_first_key(connection: Connection, *, key: str, now: int) -> None:
    """Make the first tenant, and give it this key with all rights unless it has it already."""
    connection.execute(
        dialect.sql(
            "INSERT INTO tenants (id, name, created_at) VALUES (:id, :name, :now)"
            " ON CONFLICT (name) DO NOTHING"
        ),
        {"id": new_id(now), "name": FIRST_TENANT, "now": now},
    )
    tenant = connection.execute(
        dialect.sql("SELECT id FROM tenants WHERE name = :name"), {"name": FIRST_TENANT}
    ).scalar_one()
    dialect.insert_many(
        connection,
        "api_keys",
        [
            {
                "id": new_id(now),
                "tenant_id": tenant,
                "name": "first key",
                "prefix": key_prefix(key),
                "digest": key_digest(key),
                "scopes": ALL_SCOPES,
                "created_at": now,
            }
        ],
        on_conflict="DO NOTHING",
    )


def find_key(connection: Connection, *, digest: str) -> Key | None:
    """The key with this SHA-256, valid or not."""
    found = connection.execute(
        dialect.sql(
            "SELECT id, tenant_id, scopes, expires_at, revoked_at FROM api_keys WHERE digest = :digest"
        ),
        {"digest": digest},
    ).first()
    if found is None:
        return None
    return Key(found[0], found[1], frozenset(found[2].split()), found[3], found[4])


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
