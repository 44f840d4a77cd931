"""What a bulk upload is held against: the rows that one left behind, inserted again by the bare driver, with
its executemany on SQLite and as arrays on PostgreSQL.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, Boolean, Connection, Integer, make_url, text

from orchestrator import tables
from orchestrator.store.database import open_database

LINES_AT_A_TIME = 500
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000", "wal_autocheckpoint=4000")
_KEY = {"jobs": "id", "documents": "job_id"}

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """All rows of one batch: its own, and by table those of its lines, in their order."""

    batch: Row
    lines: dict[str, list[Row]]

    def pieces(self) -> Iterator[dict[str, list[Row]]]:
        for start in range(0, len(self.lines["jobs"]), LINES_AT_A_TIME):
            yield {table: rows[start : start + LINES_AT_A_TIME] for table, rows in self.lines.items()}


async def read(url: str, batch_id: str) -> Rows:
    """What the upload of this batch has stored."""
    database = open_database(url)

    def find(connection: Connection) -> Rows:
        names = ", ".join(_columns("batches"))
        batch = connection.execute(
            text(f"SELECT {names} FROM batches WHERE id = :id"), {"id": batch_id}
        ).one()
        return Rows(tuple(batch), {table: _lines(connection, table, batch_id) for table in _KEY})

    rows = await database.read(find)
    await database.close()
    return rows


async def insert(url: str, rows: Rows) -> float:
    """Seconds for the same rows into the same tables, with their indexes, as many a transaction."""
    return _insert_sqlite(url, rows) if url.startswith("sqlite") else await _insert_postgres(url, rows)


def _insert_sqlite(url: str, rows: Rows) -> float:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    statements = {table: _with_marks(table) for table in ("batches", *_KEY)}
    started = time.perf_counter()
    connection.execute(statements["batches"], rows.batch)
    for piece in rows.pieces():
        connection.execute("BEGIN IMMEDIATE")
        for table, some in piece.items():
            connection.executemany(statements[table], some)
        connection.execute("UPDATE batches SET created = created + ?", (len(piece["jobs"]),))
        connection.execute("COMMIT")
    took = time.perf_counter() - started
    connection.close()
    return took


async def _insert_postgres(url: str, rows: Rows) -> float:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    statements = {table: _with_unnest(table) for table in ("batches", *_KEY)}
    started = time.perf_counter()
    await connection.execute(statements["batches"], *([value] for value in rows.batch))
    for piece in rows.pieces():
        async with connection.transaction():
            for table, some in piece.items():
                await connection.execute(statements[table], *zip(*some, strict=True))
            await connection.execute("UPDATE batches SET created = created + $1", len(piece["jobs"]))
    took = time.perf_counter() - started
    await connection.close()
    return took


def _lines(connection: Connection, table: str, batch_id: str) -> list[Row]:
    names = ", ".join(f"t.{name}" for name in _columns(table))
    found = connection.execute(
        text(
            f"SELECT {names} FROM jobs JOIN {table} t ON t.{_KEY[table]} = jobs.id"
            " WHERE jobs.batch_id = :id ORDER BY jobs.line"
        ),
        {"id": batch_id},
    )
    return [tuple(row) for row in found]


def _columns(table: str) -> list[str]:
    return tables.metadata.tables[table].columns.keys()


def _with_marks(table: str) -> str:
    names = _columns(table)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})"


def _with_unnest(table: str) -> str:
    columns = tables.metadata.tables[table].columns
    arrays = ", ".join(f"${place}::{_kind(column.type)}[]" for place, column in enumerate(columns, start=1))
    return f"INSERT INTO {table} ({', '.join(columns.keys())}) SELECT * FROM unnest({arrays})"


def _kind(column: Any) -> str:
    if isinstance(column, Boolean):
        return "boolean"
    if isinstance(column, BigInteger):
        return "bigint"
    return "integer" if isinstance(column, Integer) else "text"
