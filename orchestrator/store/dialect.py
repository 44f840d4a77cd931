"""The SQL that PostgreSQL and SQLite do not share, and the shortest way to each with what they do share.

On the way of every job, statements for SQLite go to its driver as they are: SQLAlchemy's own work for one
costs more than SQLite's. Errors then come as the driver's; `database.py` knows both kinds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, TextClause, text

from orchestrator.tables import metadata

_POSTGRES_TYPES = {"text": "text", "int": "bigint", "float": "double precision", "bool": "boolean"}
_ARRAYS = {str: "text[]", int: "bigint[]", float: "double precision[]", bool: "boolean[]"}
_encoder = msgspec.json.Encoder()

THIS_XID = "(SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint))"
"""PostgreSQL's number of this transaction: 64 bits, so that it only ever grows. Asked once a statement."""
_LAST_ENDED_XID = "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) - 1"
NEWEST_XID = f"greatest({THIS_XID}, (SELECT {_LAST_ENDED_XID}))"
"""The same, or that of a younger transaction that has ended already."""


@lru_cache(maxsize=500)
def sql(statement: str) -> TextClause:
    """The same object for the same words, so that SQLAlchemy looks into them once."""
    return text(statement)


def incoming(dialect: str, columns: Mapping[str, str]) -> str:
    """A FROM item `m` that unfolds the bound JSON array `:rows` of objects into typed columns.

    It carries a whole group of rows in one statement and one parameter.
    """
    if dialect == "postgresql":
        typed = ", ".join(f"{name} {_POSTGRES_TYPES[kind]}" for name, kind in columns.items())
        return f"json_to_recordset(CAST(:rows AS json)) AS m({typed})"
    picked = ", ".join(f"value ->> '{name}' AS {name}" for name in columns)
    return f"(SELECT {picked} FROM json_each(:rows)) AS m"


def one_of(dialect: str, column: str, *, bound: str = "ids", kind: str = "text") -> str:
    """`column` is one of the values in the JSON array that is bound as `:ids`, or as `bound` says."""
    if dialect == "postgresql":  # an array is looked up in the index; a sub-query may become a join
        unfolded = (
            f"SELECT value::{_POSTGRES_TYPES[kind]} FROM json_array_elements_text(CAST(:{bound} AS json))"
        )
        return f"{column} = ANY (ARRAY({unfolded}))"
    return f"{column} IN (SELECT value FROM json_each(:{bound}))"


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


def fetch(connection: Connection, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
    """All rows of a statement with `:named` values, each a tuple."""
    if connection.dialect.name == "sqlite":
        return driver(connection).execute(statement, values).fetchall()
    return connection.execute(sql(statement), values).all()


def run(connection: Connection, statement: str, values: Mapping[str, Any]) -> None:
    """Run a statement with `:named` values for what it does."""
    if connection.dialect.name == "sqlite":
        driver(connection).execute(statement, values)
    else:
        connection.execute(sql(statement), values)


def driver(connection: Connection) -> sqlite3.Connection:
    """SQLite's own connection."""
    return connection.connection.dbapi_connection  # type: ignore[return-value]  # on SQLite it is


def insert_many(
    connection: Connection, table: str, rows: Sequence[Mapping[str, Any]], *, on_conflict: str = "FAIL"
) -> None:
    """Insert rows that all have the same columns. `on_conflict` is what stands behind those words in SQL,
    such as `DO NOTHING`.

    SQLAlchemy would look at each value of each row on its way; here they go to the driver as they are:
    to SQLite's executemany, to PostgreSQL as one array for each column, since it takes a statement a row
    three times as long. Rows that update what they meet must not meet each other.
    """
    if rows:
        insert_tuples(
            connection, table, tuple(rows[0]), [tuple(row.values()) for row in rows], on_conflict=on_conflict
        )


def insert_tuples(
    connection: Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    on_conflict: str = "FAIL",
    xid: str = "",
) -> None:
    """The same for rows whose values stand in the order of `columns`. PostgreSQL writes the number that
    `xid` says into the column of that name.
    """
    if not rows:
        return
    statement = _insert(connection.dialect.name, table, columns, on_conflict, xid)
    if connection.dialect.name == "sqlite":
        driver(connection).executemany(statement, rows)
    else:
        connection.exec_driver_sql(statement, tuple(zip(*rows, strict=True)))


def update_many(
    connection: Connection,
    table: str,
    rows: Sequence[tuple[Any, ...]],
    *,
    where: Mapping[str, str],
    changes: Mapping[str, str],
) -> int:
    """Update rows by their old values; each row holds those of `where`, then those of `changes`.

    Answers how many rows were found. PostgreSQL gets all of them in one statement; SQLite has no way to
    the server to save, and is twice as fast with the driver's own executemany.
    """
    if not rows:
        return 0
    statement = _update(connection.dialect.name, table, tuple(where.items()), tuple(changes.items()))
    if connection.dialect.name == "sqlite":
        return driver(connection).executemany(statement, rows).rowcount
    return connection.exec_driver_sql(statement, tuple(zip(*rows, strict=True))).rowcount


@cache
def _update(
    name: str, table: str, where: tuple[tuple[str, str], ...], changes: tuple[tuple[str, str], ...]
) -> str:
    if name == "sqlite":
        numbered = [f"{column} = ?{n}" for n, (column, _) in enumerate((*where, *changes), start=1)]
        matched, changed = " AND ".join(numbered[: len(where)]), ", ".join(numbered[len(where) :])
        return f"UPDATE {table} SET {changed} WHERE {matched}"
    names = [*(f"was_{column}" for column, _ in where), *(column for column, _ in changes)]
    arrays = [f"${n}::{_POSTGRES_TYPES[kind]}[]" for n, (_, kind) in enumerate((*where, *changes), start=1)]
    changed = ", ".join(f"{column} = m.{column}" for column, _ in changes)
    matched = " AND ".join(f"{table}.{column} = m.was_{column}" for column, _ in where)
    source = f"unnest({', '.join(arrays)}) AS m({', '.join(names)})"
    return f"UPDATE {table} SET {changed} FROM {source} WHERE {matched}"


@cache
def _insert(name: str, table: str, columns: tuple[str, ...], on_conflict: str, xid: str) -> str:
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    ending = "" if on_conflict == "FAIL" else f" ON CONFLICT {on_conflict}"
    if name == "sqlite":
        return f"{into} VALUES ({', '.join('?' for _ in columns)}){ending}"
    kinds = [_ARRAYS[metadata.tables[table].columns[column].type.python_type] for column in columns]
    arrays = ", ".join(f"${n}::{kind}" for n, kind in enumerate(kinds, start=1))
    if xid:
        into = f"INSERT INTO {table} ({', '.join(columns)}, xid)"
    return f"{into} SELECT *{f', {xid}' if xid else ''} FROM unnest({arrays}){ending}"


def to_json(rows: object) -> str:
    """JSON text of lists, dictionaries, structs and plain values."""
    return _encoder.encode(rows).decode()
