"""How tenants share the account: what each may have, has, waits for, and got."""

from __future__ import annotations

from collections import Counter

import msgspec
from sqlalchemy import Connection

from orchestrator.store import dialect, series
from orchestrator.store.series import Wanted


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant; `stages` is how many of its jobs are in each phase, `waits` their waits by bucket."""

    id: str
    name: str
    weight: float
    max_in_flight: int | None
    max_queued: int | None
    stages: Counter[str]
    claimed: int
    waits: Counter[int]

    @property
    def in_flight(self) -> int:
        return sum(max(0, self.stages[phase]) for phase in ("submitting", "in_doubt", "accepted"))

    @property
    def queued(self) -> int:
        return sum(max(0, self.stages[phase]) for phase in ("ready", "waiting"))


def standings(connection: Connection, *, span: str, since: int, tenant_id: str | None) -> list[Standing]:
    """By name; None means all tenants. Claims and waits are those since then."""
    condition = "" if tenant_id is None else " WHERE id = :tenant"
    tenants = connection.execute(
        dialect.sql(
            f"SELECT id, name, weight, max_in_flight, max_queued FROM tenants{condition} ORDER BY name"
        ),
        {} if tenant_id is None else {"tenant": tenant_id},
    )
    wanted = Wanted(span=span, since=since, names=("claimed",), tenant_id=tenant_id)
    claimed = series.by_tenant(connection, wanted=wanted)
    waits = series.times_by_tenant(connection, wanted=msgspec.structs.replace(wanted, names=("wait",)))
    stages = series.stages_by_tenant(connection)
    return [
        Standing(
            **row,
            stages=stages.get(row["id"], Counter()),
            claimed=claimed.get(row["id"], Counter())["claimed"],
            waits=waits.get(row["id"], Counter()),
        )
        for row in tenants.mappings()
    ]
