"""Reads the figures for people: sums, series over time, and how long things took.

`tenant_id` None means all tenants, `lane_id` None all lanes; `since` is a time in ms.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect
from orchestrator.store.figures import duration_of


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which figures: from `since` on, by `span`, see `store/figures.py`."""

    span: str
    since: int
    names: Sequence[str]
    tenant_id: str | None = None
    lane_id: str | None = None


def over_time(connection: Connection, *, wanted: Wanted) -> dict[str, dict[int, int]]:
    """By name and by the beginning of the minute or hour."""
    found: dict[str, dict[int, int]] = {name: {} for name in wanted.names}
    for name, at, count in _sums(connection, wanted, by="name, at"):
        found[name][at] = int(count)
    return found


def by_lane(connection: Connection, *, wanted: Wanted) -> dict[str, Counter[str]]:
    """Sums by lane and name."""
    return _nested(_sums(connection, wanted, by="lane_id, name"))


def by_tenant(connection: Connection, *, wanted: Wanted) -> dict[str, Counter[str]]:
    """Sums by tenant and name."""
    return _nested(_sums(connection, wanted, by="tenant_id, name"))


def names_like(connection: Connection, *, prefix: str, wanted: Wanted) -> dict[str, Counter[str]]:
    """Sums by lane and by what follows `prefix` in the name, such as the reasons of `reason_`."""
    condition, values = _condition(wanted)
    found = connection.execute(
        dialect.sql(
            f"SELECT lane_id, name, sum(count) FROM figures WHERE {condition}"
            " AND name >= :first AND name < :last GROUP BY lane_id, name"
        ),
        values | {"first": prefix, "last": f"{prefix}~"},
    )
    return _nested((lane, name.removeprefix(prefix), count) for lane, name, count in found)


def times(connection: Connection, *, wanted: Wanted) -> dict[str, Counter[int]]:
    """By name, how many took how long: counts by bucket, see `store/figures.py`."""
    return {name: Counter(buckets) for name, buckets in _by_bucket(connection, wanted, by="name").items()}


def times_by_tenant(connection: Connection, *, wanted: Wanted) -> dict[str, Counter[int]]:
    return _by_bucket(connection, wanted, by="tenant_id")


def times_by_lane(connection: Connection, *, wanted: Wanted) -> dict[str, Counter[int]]:
    return _by_bucket(connection, wanted, by="lane_id")


def times_over_time(connection: Connection, *, wanted: Wanted) -> dict[int, Counter[int]]:
    """By the beginning of the minute or hour."""
    return _by_bucket(connection, wanted, by="at")


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The duration in ms that `share` of them did not exceed, to a tenth or so; None for none."""
    whole = sum(counts.values())
    reached = 0
    for bucket in sorted(counts):
        reached += counts[bucket]
        if whole and reached >= share * whole:
            return duration_of(bucket)
    return None


def stages(connection: Connection, *, tenant_id: str | None = None) -> dict[str, Counter[str]]:
    """How many jobs are in each phase, by lane."""
    condition = "" if tenant_id is None else " WHERE tenant_id = :tenant"
    found = connection.execute(
        dialect.sql(f"SELECT lane_id, phase, sum(count) FROM stages{condition} GROUP BY lane_id, phase"),
        {} if tenant_id is None else {"tenant": tenant_id},
    )
    return _nested(found)


def stages_by_tenant(connection: Connection) -> dict[str, Counter[str]]:
    found = connection.execute(
        dialect.sql("SELECT tenant_id, phase, sum(count) FROM stages GROUP BY tenant_id, phase")
    )
    return _nested(found)


def _sums(connection: Connection, wanted: Wanted, *, by: str) -> Any:
    condition, values = _condition(wanted)
    named, names = _named(wanted.names)
    return connection.execute(
        dialect.sql(f"SELECT {by}, sum(count) FROM figures WHERE {condition} AND {named} GROUP BY {by}"),
        values | names,
    )


def _by_bucket(connection: Connection, wanted: Wanted, *, by: str) -> dict[Any, Counter[int]]:
    found: dict[Any, Counter[int]] = defaultdict(Counter)
    for key, bucket, count in _sums(connection, wanted, by=f"{by}, bucket"):
        found[key][bucket] = int(count)
    return found


def _condition(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    conditions, values = ["span = :span", "at >= :since"], {"span": wanted.span, "since": wanted.since}
    for column in ("tenant_id", "lane_id"):
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(f"{column} = :{column}")
            values[column] = value
    return " AND ".join(conditions), values


def _named(names: Sequence[str]) -> tuple[str, dict[str, str]]:
    bound = {f"name{number}": name for number, name in enumerate(names)}
    return f"name IN ({', '.join(f':{name}' for name in bound)})", bound


def _nested(found: Any) -> dict[str, Counter[str]]:
    nested: dict[str, Counter[str]] = defaultdict(Counter)
    for outer, inner, count in found:
        nested[outer][inner] = int(count)
    return nested
