"""How a batch gets on: asked again and again while it runs, at the same cost however large it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, tallies
from orchestrator.store.batches import Batch
from orchestrator.store.keys import FIRST_TENANT
from orchestrator.store.lanes import HIDDEN_TROUBLE

_MOST_FAILURES = 100
_SAMPLE = 100


class Outlook(msgspec.Struct, frozen=True):
    """`failures` by kind, most frequent first; `by_lane` is how a sample of the jobs divides among the lanes;
    `reasons` say why jobs that could be sent are kept back. Both are empty unless the batch is running.
    """

    failures: list[dict[str, Any]]
    by_lane: Counter[str]
    reasons: list[str]


def read(connection: Connection, *, batch: Batch, now: int) -> Outlook:
    failures = tallies.failure_groups(connection, batch.id, most=_MOST_FAILURES) if batch.failed else []
    if batch.public_state != "running":
        return Outlook(failures, Counter(), [])
    return Outlook(failures, _count_by_lane(connection, batch), _reasons_to_wait(connection, batch.id, now))


def _count_by_lane(connection: Connection, batch: Batch) -> Counter[str]:
    """Of lines all over the batch."""
    last = batch.total + batch.rejected
    lines = range(1, last + 1, -(-last // _SAMPLE) or 1)
    wanted = dialect.one_of(connection.dialect.name, "line", kind="int")
    found = dialect.fetch(
        connection,
        f"SELECT lane_id, count(*) FROM jobs WHERE batch_id = :batch AND {wanted} GROUP BY lane_id",
        {"batch": batch.id, "ids": dialect.to_json(list(lines))},
    )
    return Counter({row[0]: row[1] for row in found})


def _reasons_to_wait(connection: Connection, batch_id: str, now: int) -> list[str]:
    """Of the lanes that are closed, which hardly any is, those that jobs of the batch are waiting for.

    What the provider says of the account is for those alone whose account it is.
    """
    closed = dialect.fetch(
        connection,
        "SELECT l.id, CASE WHEN a.trouble IS NULL"
        " THEN CASE WHEN l.stopped_until > :now THEN l.stop_reason ELSE l.pause_reason END"
        " WHEN (SELECT t.name FROM batches b JOIN tenants t ON t.id = b.tenant_id"
        " WHERE b.id = :batch) = :first THEN a.trouble ELSE :hidden END"
        " FROM lanes l JOIN accounts a ON a.id = l.account_id"
        " WHERE a.trouble IS NOT NULL OR l.paused_until > :now OR l.stopped_until > :now",
        {"batch": batch_id, "now": now, "first": FIRST_TENANT, "hidden": HIDDEN_TROUBLE},
    )
    return sorted({reason for lane, reason in closed if reason and _has_waiting(connection, batch_id, lane)})


def _has_waiting(connection: Connection, batch_id: str, lane: str) -> bool:
    found = dialect.fetch(
        connection,
        "SELECT 1 FROM jobs WHERE batch_id = :batch AND lane_id = :lane AND phase IN ('ready', 'waiting')"
        " LIMIT 1",
        {"batch": batch_id, "lane": lane},
    )
    return bool(found)
