"""The system: which processes run, the database, the bell, the settings that matter, and who did what."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from orchestrator.settings import Settings
from orchestrator.store import keys
from orchestrator.store import system_board as store
from orchestrator.store.board import SILENT_AFTER_MS
from orchestrator.store.keys import FIRST_TENANT
from orchestrator.store.processes import Process
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.words import count, duration

_SHOWN = 50
_LAG_MS = 60_000
_SIZES = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


class ProcessSeen(msgspec.Struct, frozen=True):
    """A process, whether it is counted on, and its drains with the end of their last rounds in ms."""

    process: Process
    is_silent: bool
    drains: list[tuple[str, int]]


async def load(look: Look) -> Mapping[str, Any]:
    """Everybody sees their own audit; what the installation is made of is its owner's to know."""
    is_owner = look.viewer.tenant == FIRST_TENANT
    audit = await look.runtime.store.read(
        store.newest_audit,
        tenant_id=look.viewer.sees,
        before_id=look.asked("before") or None,
        most=_SHOWN + 1,
    )
    tenant = None if look.viewer.sees is None else look.viewer.tenant
    found = await look.runtime.store.read(keys.list_keys, tenant=tenant)
    names = {one.key.id: one.name for one in found}
    return {
        "inside": await _inside(look) if is_owner else None,
        "audit": [msgspec.structs.replace(one, actor=_actor(one.actor, names)) for one in audit[:_SHOWN]],
        "next": {"before": audit[_SHOWN - 1].id} if len(audit) > _SHOWN else None,
        "is_first": not look.asked("before"),
    }


async def _inside(look: Look) -> Mapping[str, Any]:
    found = await look.runtime.store.read(store.system_board)
    began = time.perf_counter()
    await look.runtime.store.read(store.ping)
    round_trip_ms = 1_000 * (time.perf_counter() - began)
    settings = look.runtime.settings
    return {
        "processes": [_seen(one, look.now) for one in found.processes],
        "database": found.database,
        "size": size(found.database.size),
        "where": _where(settings.database_url, "the data directory")
        if not settings.is_sqlite
        else "one file",
        "round_trip": duration(round_trip_ms) if round_trip_ms >= 1 else "under 1 ms",
        "lag_events": count(found.lag.events)
        + (" or more" if found.lag.events >= store.COUNTED_UP_TO else ""),
        "lag_ms": max(0, look.now - (found.lag.since or look.now)),
        "lag_alarm_ms": _LAG_MS,
        "redis": _where(settings.redis_url, "none: one process needs no bell"),
        "settings": _settings(settings),
    }


def size(number: int) -> str:
    """Of bytes: `12.3 MB`."""
    for unit, name in _SIZES:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} B"


def _actor(actor: str, names: Mapping[str, str]) -> str:
    """`dashboard, key ID` by the key's name, which people know it by."""
    where, is_key, identifier = actor.rpartition("key ")
    return f"{where}key {names[identifier]}" if is_key and identifier in names else actor


def _seen(process: Process, now: int) -> ProcessSeen:
    return ProcessSeen(process, process.seen_at <= now - SILENT_AFTER_MS, sorted(process.drains.items()))


def _where(url: str, otherwise: str) -> str:
    """The host alone: user, password and query stay where they are."""
    if not url:
        return otherwise
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or "a socket of this machine"


def _settings(settings: Settings) -> list[tuple[str, str, str]]:
    """What it is, its value, and the variable that sets it; no secret is among them."""
    limits = settings.limits
    return [
        ("Public URL", settings.public_url or "none: results are found by asking", "PUBLIC_URL"),
        ("Provider", settings.wavespeed_base_url, "WAVESPEED_BASE_URL"),
        ("Account level", settings.wavespeed_tier, "WAVESPEED_TIER"),
        ("Images a minute", count(limits.image_per_minute), "WAVESPEED_PER_MINUTE"),
        ("Videos a minute", count(limits.video_per_minute), "WAVESPEED_PER_MINUTE"),
        ("At the provider at a time", count(limits.max_in_flight), "WAVESPEED_MAX_IN_FLIGHT"),
        (
            "Jobs in doubt",
            "are sent again" if settings.in_doubt == "resubmit" else "wait for a person",
            "ORCHESTRATOR_IN_DOUBT",
        ),
        ("Ended jobs are kept", f"{settings.retention_days} d", "ORCHESTRATOR_RETENTION_DAYS"),
        (
            "Webhooks over plain HTTP",
            "allowed" if settings.allow_http else "refused",
            "ORCHESTRATOR_ALLOW_HTTP",
        ),
        (
            "Webhooks to private networks",
            ", ".join(map(str, settings.allow_networks)) or "refused",
            "ORCHESTRATOR_ALLOW_NETWORKS",
        ),
    ]
