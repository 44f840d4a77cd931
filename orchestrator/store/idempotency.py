"""Idempotency-Keys: each stands for what the first request with it made or did, until it is forgotten.

A key is taken in the transaction that makes what it stands for: both are there or none. Those of batches
stand in their own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, many_rows
from orchestrator.store.audit import is_done

T = TypeVar("T")
Name = tuple[str, str]
"""A tenant and its key."""

_COLUMNS = ("tenant_id", "key", "request_hash", "job_id", "created_at")


class Idempotency(msgspec.Struct, frozen=True):
    """The client's key, and the hash of the request that it stands for."""

    key: str
    request_hash: str


class Once(msgspec.Struct, frozen=True, gc=False):
    """A request that is to be done once. `id` is new, and that of what it makes, if that has one."""

    tenant_id: str
    key: str
    request_hash: str
    id: str
    at: int

    @property
    def name(self) -> Name:
        return self.tenant_id, self.key


class Used(Exception):
    """The key stands for an earlier request, the same one or another: nothing was done."""

    def __init__(self, first_id: str, *, is_same: bool) -> None:
        """`first_id` is the id that the earlier request had for what it made."""
        super().__init__(first_id)
        self.first_id = first_id
        self.is_same = is_same


def take(connection: Connection, requests: Sequence[Once]) -> dict[Name, tuple[str, str]]:
    """Take these keys, and read whose they are, ours or an earlier request's: its hash and its id.

    The insert waits for another transaction that is taking the same key, so two at once are one.
    """
    if not requests:
        return {}
    # In one order, whoever asks: two that take each other's would wait in a circle.
    wanted = sorted(requests, key=lambda one: one.name)
    rows = [(one.tenant_id, one.key, one.request_hash, one.id, one.at) for one in wanted]
    names = [one.name for one in wanted]
    while True:
        many_rows.insert_tuples(connection, "idempotency_keys", _COLUMNS, rows, on_conflict="DO NOTHING")
        known = _read(connection, names)
        # One that the insert met may be forgotten before it is read: then it is free to be taken.
        if known.keys() >= set(names):
            return known


def free(connection: Connection, names: Iterable[Name]) -> None:
    """These keys stand for nothing, as before."""
    connection.execute(
        dialect.sql("DELETE FROM idempotency_keys WHERE tenant_id = :tenant AND key = :key"),
        [{"tenant": tenant, "key": key} for tenant, key in names],
    )


def require_free(connection: Connection, *, once: Once) -> None:
    """Raises Used."""
    _require_own(once, _read(connection, [once.name]))


def find_first(connection: Connection, *, tenant_id: str, request: Idempotency) -> str | None:
    """The id that the same request had for what it made, if it came before."""
    name = (tenant_id, request.key)
    request_hash, first_id = _read(connection, [name]).get(name, (None, None))
    return first_id if request_hash == request.request_hash else None


def take_own(connection: Connection, *, once: Once) -> None:
    """Raises Used."""
    _require_own(once, take(connection, [once]))


def do_once(
    connection: Connection,
    *,
    once: Once | None,
    do: Callable[..., T],
    arguments: Mapping[str, Any],
    counts: Callable[[T], bool] = is_done,
) -> T:
    """What `do` answers. Under a key it is done at most once, and raises Used the next time; where what came
    of it does not count, the key stays free. Not to be tried again with the same `once` where the COMMIT may
    have been done: its own key would not stop it.
    """
    if once is None:
        return do(connection, **arguments)
    take_own(connection, once=once)
    done = do(connection, **arguments)
    if not counts(done):
        free(connection, [once.name])
    return done


def _require_own(once: Once, known: Mapping[Name, tuple[str, str]]) -> None:
    request_hash, first_id = known.get(once.name, (once.request_hash, once.id))
    if first_id != once.id:
        raise Used(first_id, is_same=request_hash == once.request_hash)


def _read(connection: Connection, names: Iterable[Name]) -> dict[Name, tuple[str, str]]:
    source = dialect.incoming(connection.dialect.name, {"tenant_id": "text", "key": "text"})
    found = connection.execute(
        dialect.sql(
            f"SELECT k.tenant_id, k.key, k.request_hash, k.job_id FROM {source}"
            " JOIN idempotency_keys k ON k.tenant_id = m.tenant_id AND k.key = m.key"
        ),
        {"rows": dialect.to_json([{"tenant_id": tenant, "key": key} for tenant, key in names])},
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in found}
