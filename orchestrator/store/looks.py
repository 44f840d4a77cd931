"""A page that is looked for among so many rows at a time, where no index leads to its rows alone.

On SQLite a question holds the event loop until it is answered: others have their turn between two looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect

T = TypeVar("T")
W = TypeVar("W")


class Look(msgspec.Struct, Generic[T, W], frozen=True):
    """What one look has found; `rest` asks for what is missing of the page, None where nothing is."""

    items: list[T]
    rest: W | None = None


def edge(
    connection: Connection,
    *,
    rows: str,
    order: str,
    values: Mapping[str, Any],
    most: int,
    is_newest_first: bool = True,
) -> Any:
    """The last place, of `order`, that a look at `most` of these rows goes to; None where it sees them all.
    An index must give them in that order.
    """
    direction = "DESC" if is_newest_first else "ASC"
    return connection.execute(
        dialect.sql(f"SELECT {order} FROM {rows} ORDER BY {order} {direction} LIMIT 1 OFFSET {most - 1}"),
        values,
    ).scalar()
