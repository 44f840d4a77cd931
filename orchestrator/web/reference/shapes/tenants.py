"""Tenants, with their limits and what they use."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Tenant(Struct, kw_only=True):
    name: str
    weight: Annotated[float, Meta(description="Its share, where tenants wait for the same lane.")]
    max_in_flight: Annotated[int | None, Meta(description="Jobs at the provider at a time; null: no limit.")]
    max_queued: Annotated[int | None, Meta(description="Stored jobs that have not ended; null: no limit.")]
    keys: Annotated[int, Meta(ge=0, description="Those that are not revoked.")]
    waiting: Annotated[int, Meta(ge=0, description="Jobs that are ready to be sent, or back off.")]


class Tenants(Struct):
    items: list[Tenant]
