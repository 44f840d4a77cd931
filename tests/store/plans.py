"""How SQLite finds the rows of a statement; PostgreSQL reads tables as small as a test's from end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event


def plan(connection: Connection, do: Callable[[Connection], object]) -> list[str]:
    """The steps of all statements that `do` runs."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        asked.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    do(connection)
    event.remove(connection, "before_cursor_execute", note)
    return [
        str(row[-1])
        for statement, values in asked
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    ]
