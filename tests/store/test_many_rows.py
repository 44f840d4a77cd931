"""Many rows go to either database with few statements, and come out as they went in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from orchestrator.store import many_rows
from orchestrator.store.store import Store
from orchestrator.store.trouble import RowRefused
from tests.store.rows import select

# On both sides of what SQLite gets with one statement.
COUNTS = (1, 7, 8, 31, 32, 33, 75)


def name_of(number: int) -> str:
    return f"job-{number:03}"


def put_documents(connection: Connection, *, count: int, ending: str | None) -> None:
    """Every third has an ending, if there is one."""
    rows = [(name_of(n), f"input {n}", ending if n % 3 == 0 else None) for n in range(count)]
    many_rows.insert_tuples(connection, "documents", ("job_id", "input", "ending"), rows)


def change_documents(connection: Connection, *, changes: list[tuple[str, str, str | None]]) -> int:
    return many_rows.update_many(
        connection,
        "documents",
        changes,
        where={"job_id": "text", "input": "text"},
        changes={"ending": "text"},
    )


def count_up(connection: Connection, *, count: int) -> None:
    rows = [("batch", name_of(n), "rejected", "no", 1) for n in range(count)]
    many_rows.insert_tuples(
        connection,
        "batch_failures",
        ("batch_id", "fingerprint", "reason", "message", "count"),
        rows,
        on_conflict="(batch_id, fingerprint) DO UPDATE SET count = batch_failures.count + excluded.count",
    )


async def documents(store: Store) -> list[Any]:
    found = await select(store, "SELECT job_id, input, ending FROM documents ORDER BY job_id")
    return [tuple(row) for row in found]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("ending", [None, "the end"])
async def test_rows_are_stored_with_their_values_and_nulls(
    store: Store, count: int, ending: str | None
) -> None:
    await store.write(put_documents, count=count, ending=ending)
    assert await documents(store) == [
        (name_of(n), f"input {n}", ending if n % 3 == 0 else None) for n in range(count)
    ]


@pytest.mark.parametrize("count", COUNTS)
async def test_each_row_gets_its_own_change_where_its_old_values_hold(store: Store, count: int) -> None:
    await store.write(put_documents, count=count, ending="old")
    wrong = count // 2
    changes = [
        (name_of(n), "another" if n == wrong else f"input {n}", f"new {n}" if n % 2 else None)
        for n in range(count)
    ]
    assert await store.write(change_documents, changes=changes) == count - 1
    old = "old" if wrong % 3 == 0 else None
    assert [row[2] for row in await documents(store)] == [
        old if n == wrong else f"new {n}" if n % 2 else None for n in range(count)
    ]


async def test_a_row_that_is_there_is_added_to(store: Store) -> None:
    for count in (75, 33):
        await store.write(count_up, count=count)
    found = await select(store, "SELECT count FROM batch_failures ORDER BY fingerprint")
    assert [row[0] for row in found] == [2] * 33 + [1] * 42


async def test_what_must_not_be_null_is_refused_and_not_left_out(store: Store) -> None:
    def put(connection: Connection) -> None:
        many_rows.insert_tuples(connection, "documents", ("job_id", "input"), [("a", None)])

    with pytest.raises(RowRefused):
        await store.write(put)


async def test_no_rows_are_no_statement(store: Store) -> None:
    await store.write(put_documents, count=0, ending=None)
    assert await store.write(change_documents, changes=[]) == 0
