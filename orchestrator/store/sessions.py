"""Who is logged in to the dashboard; a session or login link is stored as its SHA-256, like an API key.

A session lives by the key it was opened with: when that is revoked or expires, so does the session.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.clock import HOUR, MINUTE
from orchestrator.ids import key_digest
from orchestrator.store import dialect, many_rows
from orchestrator.store.keys import FIRST_TENANT, Key

SESSION_MS = 12 * HOUR
LINK_MS = 15 * MINUTE


class Session(msgspec.Struct, frozen=True):
    """Whose session it is: the key it was opened with, and what its people call it."""

    key: Key
    key_name: str
    tenant: str


def open_session(connection: Connection, *, token: str, key_id: str, now: int) -> None:
    """Log the key's owner in with this token, for half a day."""
    _insert(connection, token=token, key_id=key_id, is_link=False, until=now + SESSION_MS)


def make_link(connection: Connection, *, token: str, key_id: str, now: int) -> int:
    """Let this token log in once as the key's owner; answers until when."""
    _insert(connection, token=token, key_id=key_id, is_link=True, until=now + LINK_MS)
    return now + LINK_MS


def take_link(connection: Connection, *, token: str, now: int) -> str | None:
    """The id of the key that the link logs in; the link is used up by that."""
    taken = connection.execute(
        dialect.sql("DELETE FROM sessions WHERE digest = :digest AND is_link RETURNING key_id, expires_at"),
        {"digest": key_digest(token)},
    ).first()
    return taken.key_id if taken is not None and taken.expires_at > now else None


def find_session(connection: Connection, *, token: str, now: int) -> Session | None:
    """None when it is unknown, has ended, or its key has."""
    found = connection.execute(
        dialect.sql(
            "SELECT k.id, k.tenant_id, k.scopes, k.expires_at, k.revoked_at, k.name, t.name AS tenant"
            " FROM sessions s JOIN api_keys k ON k.id = s.key_id JOIN tenants t ON t.id = k.tenant_id"
            " WHERE s.digest = :digest AND NOT s.is_link AND s.expires_at > :now"
        ),
        {"digest": key_digest(token), "now": now},
    ).first()
    if found is None:
        return None
    key = Key(
        found.id,
        found.tenant_id,
        frozenset(found.scopes.split()),
        found.expires_at,
        found.revoked_at,
        is_of_first_tenant=found.tenant == FIRST_TENANT,
    )
    return Session(key, found.name, found.tenant) if key.is_valid(now) else None


def end_session(connection: Connection, *, token: str) -> None:
    connection.execute(
        dialect.sql("DELETE FROM sessions WHERE digest = :digest"), {"digest": key_digest(token)}
    )


def delete_ended(connection: Connection, *, now: int) -> None:
    connection.execute(dialect.sql("DELETE FROM sessions WHERE expires_at <= :now"), {"now": now})


def _insert(connection: Connection, *, token: str, key_id: str, is_link: bool, until: int) -> None:
    row = {"digest": key_digest(token), "key_id": key_id, "is_link": is_link, "expires_at": until}
    many_rows.insert_many(connection, "sessions", [row])
