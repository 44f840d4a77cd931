"""Everything that a process opens once and every flow needs, as one value given first to each flow."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog

from orchestrator import policy, signing
from orchestrator.bell import Bell, Kind, redis_settings
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.clock import Clock
from orchestrator.decision import Applied, Signal
from orchestrator.errors import Busy, Misconfigured
from orchestrator.follower import Follower
from orchestrator.job import Phase
from orchestrator.meters import Meters
from orchestrator.net.clients import guarded_client, provider_client
from orchestrator.net.guard import AddressPolicy
from orchestrator.providers.base import CompatibleProvider
from orchestrator.providers.wavespeed import WaveSpeed
from orchestrator.sealing import Sealer
from orchestrator.settings import Settings
from orchestrator.store import claims, endpoints, event_log, lanes, quotas, schema, views
from orchestrator.store.database import open_database
from orchestrator.store.event_log import Cursor, EventRow
from orchestrator.store.lanes import Lane
from orchestrator.store.store import Store
from orchestrator.uploads import MOST_PASSED_ON, Uploads
from orchestrator.waits import Waits

EventFollower = Follower[EventRow, Cursor]

PROVIDER = "wavespeed"
ACCOUNT = "wavespeed"
# A lane's time of the last callback is kept this exactly.
_CALLBACK_NEWS_MS = 5_000
# Longer than `lanes` may be old: a failure of ours may not stand in it yet.
_FAILURE_NEWS_MS = 2_500
_CURRENT_EVERY_S = 1.0
# Connections for what is neither a submission, a poll nor an upload.
_OTHER_QUESTIONS = 25


@dataclass(kw_only=True)
class Runtime:
    """One process's wiring. `base_url` is where clients find results; `lanes` is at most a second old."""

    settings: Settings
    base_url: str
    clock: Clock
    store: Store
    bell: Bell
    provider: CompatibleProvider
    catalogue: Catalogue
    webhooks: httpx.AsyncClient
    address_policy: AddressPolicy
    waits: Waits
    follower: EventFollower
    callback_keys: tuple[bytes, ...]
    sealer: Sealer
    uploads: Uploads = field(default_factory=Uploads)
    meters: Meters = field(default_factory=Meters)
    log: Any = field(default_factory=lambda: structlog.get_logger().bind())
    lanes: dict[str, Lane] = field(default_factory=dict)
    failed_at: dict[str, int] = field(default_factory=dict)
    listening_tenants: frozenset[str] = frozenset()
    """Those with an endpoint: an end of theirs is told to somebody."""
    limited_tenants: frozenset[str] = frozenset()
    """Those that may have only so many jobs at the provider."""
    is_account_full: bool = False

    def is_pushed(self, lane_id: str) -> bool:
        """Whether callbacks arrive on this lane."""
        lane = self.lanes.get(lane_id)
        return bool(self.settings.public_url) and (lane is None or lane.is_pushed)

    def is_news(self, lane_id: str, signal: Signal) -> bool:
        """Whether the lane's row would change: most answers say only that all is well, as before."""
        lane = self.lanes.get(lane_id)
        if lane is None:
            return True
        if signal == Signal.FAILING:
            self.failed_at[lane_id] = self.clock.now()
        if signal == Signal.HEALTHY:
            failed_lately = self.failed_at.get(lane_id, 0) > self.clock.now() - _FAILURE_NEWS_MS
            return lane.failures > 0 or failed_lately
        if signal == Signal.CALLED_BACK:
            return lane.callback_at < self.clock.now() - _CALLBACK_NEWS_MS
        return True

    def callback_url(self, job_id: str, attempt: int) -> str | None:
        """Where the provider tells the end of this attempt; None without a public URL."""
        if not self.settings.public_url:
            return None
        token = signing.callback_token(self.callback_keys[0], provider=PROVIDER, job=job_id, attempt=attempt)
        return f"{self.settings.public_url}/callbacks/{PROVIDER}/{job_id}/{attempt}/{token}"

    def is_callback_token(self, token: str, *, provider: str, job_id: str, attempt: int) -> bool:
        return signing.is_callback_token(
            token, self.callback_keys, provider=provider, job=job_id, attempt=attempt
        )

    def webhook_secrets(self, tenant_id: str) -> list[str]:
        """What signs this tenant's webhooks, newest first: derived from our own, so nothing is stored."""
        keys = [signing.derive_key(secret, f"webhook:{tenant_id}") for secret in self.settings.secrets]
        return [signing.SECRET_PREFIX + base64.b64encode(key).decode() for key in keys]

    def announce(self, applied: Applied, *, is_one_of_many: bool = False) -> None:
        """After a commit: tell those who wait, and ring for what there is to do now.

        What is done to many jobs at once is logged once, by whoever does it.
        """
        move = applied.move
        if move is None:
            return
        job = move.after
        is_news = (
            job.phase in (Phase.FAILED, Phase.WAITING, Phase.HELD, Phase.IN_DOUBT) and not is_one_of_many
        )
        (self.log.info if is_news else self.log.debug)(
            "job.moved",
            job=job.id,
            attempt=job.attempt,
            lane=job.lane_id,
            verb=str(move.verb),
            from_phase=str(move.before.phase),
            to_phase=str(job.phase),
            because=move.because,
        )
        if move.ending is not None:
            self.waits.wake(job.id)
            if self.is_account_full or job.tenant_id in self.limited_tenants:
                self.bell.ring(Kind.SUBMIT)  # a job may wait for the slot that is free now
            if job.webhook or job.tenant_id in self.listening_tenants:
                self.bell.ring(Kind.DELIVER)
        elif job.phase == Phase.READY:
            self.bell.ring(Kind.SUBMIT)

    async def look_at_lanes(self) -> None:
        """Refresh what this process knows of the lanes, and of who listens."""
        self.lanes = {lane.id: lane for lane in await self.store.read(lanes.read_lanes)}
        self.listening_tenants = await self.store.read(endpoints.listening_tenants)
        self.limited_tenants = await self.store.read(quotas.limited_tenants)
        self.is_account_full = await self.store.read(claims.is_account_full, account_id=ACCOUNT)


async def open_runtime(settings: Settings, stack: AsyncExitStack, *, url: str = "") -> Runtime:
    """Open everything; `stack` closes it. `url` is where this process listens.

    Raises Misconfigured when a setting or the schema is wrong.
    """
    if not settings.secrets:
        raise Misconfigured("ORCHESTRATOR_SECRET: must be set; make one with `openssl rand -base64 32`")
    clock = Clock()
    store = Store(open_database(settings.resolved_database_url), clock)
    stack.push_async_callback(store.close)
    await schema.require_current(store.database)
    await store.follow_clock()
    await store.write(
        lanes.ensure_account,
        account_id=ACCOUNT,
        provider=PROVIDER,
        limits=settings.limits,
        now=clock.now(),
    )
    bell = Bell(redis_settings(settings.redis_url) if settings.redis_url else None)
    stack.push_async_callback(bell.close)
    addresses = AddressPolicy(
        allow_networks=settings.allow_networks,
        allow_http=settings.allow_http,
        allow_ports=settings.allow_ports,
    )
    webhooks = await stack.enter_async_context(guarded_client(addresses, limit=policy.MOST_DELIVERIES))
    runtime = Runtime(
        settings=settings,
        base_url=settings.public_url or url,
        clock=clock,
        store=store,
        bell=bell,
        provider=await _open_provider(settings, clock, stack),
        catalogue=Catalogue(),
        webhooks=webhooks,
        address_policy=addresses,
        waits=Waits(_finder(store)),
        follower=_follower(store),
        callback_keys=tuple(signing.derive_key(secret, "callback") for secret in settings.secrets),
        sealer=Sealer([signing.derive_key(secret, "columns") for secret in settings.secrets]),
    )
    await runtime.look_at_lanes()
    return runtime


def keep_current(runtime: Runtime, stack: AsyncExitStack) -> None:
    """For a process without a worker's tick: follow the clock and the lanes, until `stack` closes."""
    following = asyncio.create_task(_keep_current(runtime), name="keep-current")
    stack.callback(following.cancel)


async def _keep_current(runtime: Runtime) -> None:
    while True:
        await asyncio.sleep(_CURRENT_EVERY_S)
        try:
            await runtime.store.follow_clock()
            await runtime.look_at_lanes()
        except Busy:
            continue  # the next look may reach the database again
        except Exception:
            runtime.log.exception("look.failed")


async def _open_provider(settings: Settings, clock: Clock, stack: AsyncExitStack) -> WaveSpeed:
    async def open_client(limit: int) -> httpx.AsyncClient:
        client = provider_client(
            base_url=settings.wavespeed_base_url,
            headers={"authorization": f"Bearer {settings.wavespeed_api_key}"},
            limit=limit,
            # A claim is sent within 5 s or not at all; what could not connect by then was not sent.
            timeout=httpx.Timeout(30, connect=3, pool=1),
        )
        return await stack.enter_async_context(client)

    return WaveSpeed(
        await open_client(policy.POSTS_PER_WORKER + policy.POLLS_PER_WORKER + _OTHER_QUESTIONS),
        passing=await open_client(MOST_PASSED_ON + _OTHER_QUESTIONS),
        clock=clock,
        deadline_s=policy.POST_DEADLINE_S,
    )


def _finder(store: Store) -> Any:
    async def find_ended(ids: Sequence[str]) -> Sequence[str]:
        return await store.read(views.ended_among, ids=ids)

    return find_ended


def _follower(store: Store) -> EventFollower:
    async def newest() -> Cursor:
        return await store.read(event_log.newest_cursor)

    async def read(cursor: Cursor) -> tuple[list[EventRow], Cursor]:
        return await store.read(event_log.events_after, cursor=cursor)

    follower = Follower(start=event_log.START, newest=newest, read=read, topics=event_log.topics)
    store.on_commit = follower.wake
    return follower
