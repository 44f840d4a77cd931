"""The SQL that PostgreSQL and SQLite do not share, and the shortest way to each with what they do share.

On the way of every job, statements go to the driver as they are: SQLAlchemy's own work for one costs more
than SQLite's, and twice what asyncpg does. Errors then come as the driver's; `database.py` knows both kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, TextClause, text

POSTGRES_TYPES = {"text": "text", "int": "bigint", "float": "double precision", "bool": "boolean"}
_encoder = msgspec.json.Encoder()
_NAMED = re.compile(r"(?<!:):([a-z]\w*)")

THIS_XID = "(SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint))"
"""PostgreSQL's number of this transaction: 64 bits, so that it only ever grows. Asked once a statement."""
_LAST_ENDED_XID = "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) - 1"
NEWEST_XID = f"greatest({THIS_XID}, (SELECT {_LAST_ENDED_XID}))"
"""The same, or that of a younger transaction that has ended already."""

BRIEFLY_MS = 1_000
"""How long what others wait behind waits for a lock itself."""


@lru_cache(maxsize=500)
def sql(statement: str) -> TextClause:
    """The same object for the same words, so that SQLAlchemy looks into them once."""
    return text(statement)


def incoming(dialect: str, columns: Mapping[str, str]) -> str:
    """A FROM item `m` that unfolds the bound JSON array `:rows` of objects into typed columns.

    It carries a whole group of rows in one statement and one parameter.
    """
    if dialect == "postgresql":
        typed = ", ".join(f"{name} {POSTGRES_TYPES[kind]}" for name, kind in columns.items())
        return f"json_to_recordset(CAST(:rows AS json)) AS m({typed})"
    picked = ", ".join(f"value ->> '{name}' AS {name}" for name in columns)
    return f"(SELECT {picked} FROM json_each(:rows)) AS m"


def one_of(dialect: str, column: str, *, bound: str = "ids", kind: str = "text") -> str:
    """`column` is one of the values in the JSON array that is bound as `:ids`, or as `bound` says."""
    if dialect == "postgresql":  # an array is looked up in the index; a sub-query may become a join
        unfolded = (
            f"SELECT value::{POSTGRES_TYPES[kind]} FROM json_array_elements_text(CAST(:{bound} AS json))"
        )
        return f"{column} = ANY (ARRAY({unfolded}))"
    return f"{column} IN (SELECT value FROM json_each(:{bound}))"


def size(dialect: str, column: str) -> str:
    """About how many bytes a text has; PostgreSQL knows it without reading the text."""
    return f"octet_length({column})" if dialect == "postgresql" else f"length({column})"


def lock(dialect: str, *, skip_locked: bool = False) -> str:
    """The end of a SELECT that locks its rows; on SQLite the transaction is alone already."""
    if dialect == "sqlite":
        return ""
    return " FOR UPDATE SKIP LOCKED" if skip_locked else " FOR UPDATE"


def try_lock(connection: Connection, name: str) -> bool:
    """Whether this transaction alone holds the lock of this name now; it never waits for it.

    No row is locked, so it may be taken out of the order in which rows are.
    """
    if connection.dialect.name == "sqlite":
        return True
    taken = fetch(connection, "SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))", {"name": name})
    return bool(taken[0][0])


def wait_at_most(connection: Connection, wait_ms: int) -> None:
    """No statement of this transaction waits longer for a lock; on SQLite none waits for any."""
    if connection.dialect.name == "postgresql":
        run(connection, f"SET LOCAL lock_timeout = {wait_ms}", {})


def fetch(connection: Connection, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
    """All rows of a statement with `:named` values, each like a tuple."""
    rows: Sequence[Any] = _execute(connection, statement, values).fetchall()
    return rows


def run(connection: Connection, statement: str, values: Mapping[str, Any]) -> None:
    """Run a statement with `:named` values for what it does."""
    _execute(connection, statement, values)


def driver(connection: Connection) -> Any:
    """The driver's own connection: sqlite3's, or asyncpg's as SQLAlchemy makes it look like one."""
    return connection.connection.dbapi_connection


def _execute(connection: Connection, statement: str, values: Mapping[str, Any]) -> Any:
    if connection.dialect.name == "sqlite":
        return driver(connection).execute(statement, values)
    numbered, names = _numbered(statement)
    return driver(connection).execute(numbered, [values[name] for name in names])


@lru_cache(maxsize=500)
def _numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """The statement with `$1`, `$2` for its `:named` values, and the names in that order."""
    names = tuple(dict.fromkeys(_NAMED.findall(statement)))
    return _NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", statement), names


def to_json(rows: object) -> str:
    """JSON text of lists, dictionaries, structs and plain values."""
    return _encoder.encode(rows).decode()
