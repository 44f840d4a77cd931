"""Which processes run: each says every few seconds that it lives, and what it last did."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, many_rows

_drains = msgspec.json.Decoder(dict[str, int])


class Process(msgspec.Struct, frozen=True):
    """`kind` is `up`, `serve` or `worker`; `drains` has the end of each drain's last round in ms; `url` is
    where clients find it, "" for a worker.
    """

    name: str
    kind: str
    version: str
    started_at: int
    seen_at: int
    is_bell_up: bool
    drains: dict[str, int]
    url: str = ""


def report(connection: Connection, *, process: Process) -> None:
    row = msgspec.structs.asdict(process) | {"drains": dialect.to_json(process.drains)}
    kept = ", ".join(f"{column} = excluded.{column}" for column in row if column != "name")
    many_rows.insert_many(connection, "processes", [row], on_conflict=f"(name) DO UPDATE SET {kept}")


def leave(connection: Connection, *, name: str) -> None:
    """The process ends by itself: nobody shall miss it."""
    connection.execute(dialect.sql("DELETE FROM processes WHERE name = :name"), {"name": name})


def running(connection: Connection) -> list[Process]:
    """Those that did not say that they end, also the dead; oldest first."""
    found = connection.execute(
        dialect.sql(
            "SELECT name, kind, version, started_at, seen_at, is_bell_up, drains, url FROM processes"
            " ORDER BY started_at"
        )
    )
    return [_process(*row) for row in found]


def api_url(connection: Connection) -> str:
    """Where the API is that was seen last; "" when none was."""
    found = connection.execute(
        dialect.sql("SELECT url FROM processes WHERE url <> '' ORDER BY seen_at DESC LIMIT 1")
    )
    return str(found.scalar() or "")


def _process(*row: Any) -> Process:
    return Process(row[0], row[1], row[2], row[3], row[4], bool(row[5]), _drains.decode(row[6]), row[7])


def forget(connection: Connection, *, seen_before: int) -> None:
    connection.execute(dialect.sql("DELETE FROM processes WHERE seen_at < :before"), {"before": seen_before})
