"""Fairness: whether each tenant gets its share of the account, how long it waits, and what it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import FormData

from orchestrator.flow import administer
from orchestrator.store.fairness import Standing, standings
from orchestrator.store.series import percentile
from orchestrator.web.dashboard import periods
from orchestrator.web.dashboard.pages import Done, Look
from orchestrator.web.dashboard.viewer import require_operator
from orchestrator.web.fields import to_fields
from orchestrator.web.tenants import TenantChange


class Row(msgspec.Struct, frozen=True):
    """A tenant with its shares of all claims, between 0 and 1: what it got and what its weight asks for.

    Only tenants that wanted something divide the account; None for those that did not.
    """

    tenant: Standing
    share: float | None
    fair: float | None
    p50: float | None
    p95: float | None


async def load(look: Look) -> Mapping[str, Any]:
    period = periods.chosen(look)
    span, since = period.sums
    found = await look.runtime.store.read(standings, span=span, since=since, tenant_id=look.viewer.sees)
    return {"period": period, "periods": periods.CHOICES, "rows": _rows(found)}


async def change(look: Look, form: FormData) -> Done:
    """Weight and limits of one tenant; an empty limit is none."""
    require_operator(look.viewer)
    name = str(look.request.path_params["name"])
    given = {field: str(form.get(field, "")).strip() or None for field in TenantChange.__struct_fields__}
    terms = to_fields(given, TenantChange, strict=False).terms
    await administer.change_tenant(look.runtime, look.viewer, name, terms)
    return Done(f"{name} is changed. It counts from the next claim and the next submission on.")


def _rows(found: Sequence[Standing]) -> list[Row]:
    claimed = sum(one.claimed for one in found)
    weights = sum(one.weight for one in found if _wants(one))
    return [
        Row(
            one,
            one.claimed / claimed if claimed and _wants(one) else None,
            one.weight / weights if _wants(one) else None,
            percentile(one.waits, 0.5),
            percentile(one.waits, 0.95),
        )
        for one in found
    ]


def _wants(one: Standing) -> bool:
    return bool(one.claimed or one.queued)
