"""The secrets of endpoints as rows: rotated by people, and sealed anew when our own key changes."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.store import dialect, endpoints
from orchestrator.store.endpoints import COLUMNS, Endpoint


def rotate(
    connection: Connection,
    *,
    was: Endpoint,
    secret: str,
    old_secret: str | None,
    old_secret_until: int,
    actor: str,
    now: int,
) -> bool:
    """Give it another secret; False when somebody has done so since `was` was read, or removed it."""
    rotated = connection.execute(
        dialect.sql(
            "UPDATE endpoints SET secret = :secret, old_secret = :old, old_secret_until = :until"
            " WHERE id = :id AND secret = :was"
        ),
        {
            "id": was.id,
            "was": was.secret,
            "secret": secret,
            "old": old_secret,
            "until": None if old_secret is None else old_secret_until,
        },
    )
    if rotated.rowcount == 1:
        endpoints.record(connection, "rotate", was, actor=actor, now=now)
    return rotated.rowcount == 1


def sealed_otherwise(connection: Connection, *, prefix: str) -> list[Endpoint]:
    """Those with a secret that was sealed with another key than the one whose texts begin so."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {COLUMNS} FROM endpoints WHERE substr(secret, 1, :length) <> :prefix"
            " OR substr(old_secret, 1, :length) <> :prefix ORDER BY id"
        ),
        {"prefix": prefix, "length": len(prefix)},
    )
    return [Endpoint(**row._mapping) for row in found]


def reseal(connection: Connection, *, was: Endpoint, secret: str, old_secret: str | None) -> None:
    """The same secrets under another key; nothing where they were rotated meanwhile."""
    connection.execute(
        dialect.sql(
            "UPDATE endpoints SET secret = :secret, old_secret = :old,"
            " old_secret_until = CASE WHEN :has_old = 1 THEN old_secret_until END"
            " WHERE id = :id AND secret = :was"
        ),
        {
            "id": was.id,
            "was": was.secret,
            "secret": secret,
            "old": old_secret,
            "has_old": int(old_secret is not None),
        },
    )


def forget_old(connection: Connection, *, now: int) -> None:
    """Those that sign nothing any more."""
    connection.execute(
        dialect.sql(
            "UPDATE endpoints SET old_secret = NULL, old_secret_until = NULL WHERE old_secret_until <= :now"
        ),
        {"now": now},
    )
