"""Many rows at once: inserts and updates that cost a few statements, whatever the number of rows.

SQLAlchemy would look at each value of each row on its way; here they go to the driver as they are, many with
one statement: to SQLite as rows, to PostgreSQL as one array for each column. A statement a row, as the
drivers' own executemany runs, takes PostgreSQL three times as long, SQLite half as long again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from orchestrator.store import dialect
from orchestrator.tables import metadata

_ARRAYS = {str: "text[]", int: "bigint[]", float: "double precision[]", bool: "boolean[]"}
# Rows in a statement of SQLite's: a few sizes, since each statement that was read is kept for the next time.
_PIECES = (32, 16, 8)


def insert_many(
    connection: Connection, table: str, rows: Sequence[Mapping[str, Any]], *, on_conflict: str = "FAIL"
) -> None:
    """Insert rows that all have the same columns. `on_conflict` is what stands behind those words in SQL,
    such as `DO NOTHING`. Rows that update what they meet must not meet each other.
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
    `xid` says into the column of that name. What is NULL in all of them, half of a new job, is not sent.
    """
    if not rows:
        return
    nullable = _nullable(table)
    given = [
        (column, values)
        for column, values in zip(columns, zip(*rows, strict=True), strict=True)
        if column not in nullable or values.count(None) < len(rows)
    ]
    names, arrays = tuple(column for column, _ in given), tuple(values for _, values in given)
    if connection.dialect.name == "sqlite":
        one = _insert_rows(table, names, on_conflict, 1)
        many = partial(_insert_rows, table, names, on_conflict)
        _run_in_pieces(connection, one, many, list(zip(*arrays, strict=True)))
    else:
        dialect.driver(connection).execute(_insert_arrays(table, names, on_conflict, xid), arrays)


def update_many(
    connection: Connection,
    table: str,
    rows: Sequence[tuple[Any, ...]],
    *,
    where: Mapping[str, str],
    changes: Mapping[str, str],
) -> int:
    """Update rows by their old values; each row holds those of `where`, then those of `changes`, and no two
    speak of the same. Answers how many were found.
    """
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        matched, changed = tuple(where), tuple(changes)
        one, many = _update_row(table, matched, changed), partial(_update_rows, table, matched, changed)
        return _run_in_pieces(connection, one, many, rows)
    statement = _update_arrays(table, tuple(where.items()), tuple(changes.items()))
    return int(dialect.driver(connection).execute(statement, tuple(zip(*rows, strict=True))).rowcount)


def _run_in_pieces(
    connection: Connection, one: str, many: Callable[[int], str], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Run SQLite's statements for so `many` rows at a time, and for each `one` that is left; how many rows
    were changed.
    """
    changed = at = 0
    for count in _PIECES:
        while len(rows) - at >= count:
            values = list(chain.from_iterable(rows[at : at + count]))
            changed += dialect.driver(connection).execute(many(count), values).rowcount
            at += count
    rest = rows[at:]
    return changed + dialect.driver(connection).executemany(one, rest).rowcount if rest else changed


@cache
def _nullable(table: str) -> frozenset[str]:
    return frozenset(column.name for column in metadata.tables[table].columns if column.nullable)


@cache
def _insert_rows(table: str, columns: tuple[str, ...], on_conflict: str, count: int) -> str:
    return f"{_into(table, columns)} {_values(len(columns), count)}{_ending(on_conflict)}"


@cache
def _insert_arrays(table: str, columns: tuple[str, ...], on_conflict: str, xid: str) -> str:
    kinds = (_ARRAYS[metadata.tables[table].columns[column].type.python_type] for column in columns)
    into, selected = (_into(table, (*columns, "xid")), f"*, {xid}") if xid else (_into(table, columns), "*")
    return f"{into} SELECT {selected} FROM {_unnest(kinds)}{_ending(on_conflict)}"


def _into(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)})"


def _ending(on_conflict: str) -> str:
    return "" if on_conflict == "FAIL" else f" ON CONFLICT {on_conflict}"


@cache
def _update_row(table: str, where: tuple[str, ...], changes: tuple[str, ...]) -> str:
    numbered = [f"{column} = ?{number}" for number, column in enumerate((*where, *changes), start=1)]
    matched, changed = numbered[: len(where)], numbered[len(where) :]
    return f"UPDATE {table} SET {', '.join(changed)} WHERE {' AND '.join(matched)}"


@cache
def _update_rows(table: str, where: tuple[str, ...], changes: tuple[str, ...], count: int) -> str:
    # By the names that SQLite gives the columns of VALUES. It would take others from a WITH in front, but
    # then its driver does not say how many rows were changed.
    names = _numbered(len(where) + len(changes))
    new = f"({_values(len(names), count)}) AS m"
    return f"UPDATE {table} {_set_from(table, where, changes, names, new)}"


@cache
def _update_arrays(
    table: str, where: tuple[tuple[str, str], ...], changes: tuple[tuple[str, str], ...]
) -> str:
    kinds = (f"{dialect.POSTGRES_TYPES[kind]}[]" for _, kind in (*where, *changes))
    names = _numbered(len(where) + len(changes))
    new = f"{_unnest(kinds)} AS m({', '.join(names)})"
    matched, changed = ([column for column, _ in part] for part in (where, changes))
    return f"UPDATE {table} {_set_from(table, matched, changed, names, new)}"


def _set_from(
    table: str, where: Sequence[str], changes: Sequence[str], names: Sequence[str], new: str
) -> str:
    matched = [f"{table}.{column} = m.{name}" for column, name in zip(where, names, strict=False)]
    changed = [f"{column} = m.{name}" for column, name in zip(changes, names[len(where) :], strict=True)]
    return f"SET {', '.join(changed)} FROM {new} WHERE {' AND '.join(matched)}"


def _numbered(width: int) -> list[str]:
    return [f"column{number}" for number in range(1, width + 1)]


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"


def _unnest(kinds: Iterable[str]) -> str:
    return f"unnest({', '.join(f'${n}::{kind}' for n, kind in enumerate(kinds, start=1))})"
