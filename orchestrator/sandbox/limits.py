"""What an account may do: submits per minute, tasks at once. Each API key is an account of its own."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from orchestrator.sandbox.protocol import Refusal

WINDOW_S = 60.0


@dataclass(frozen=True)
class Tier:
    """WaveSpeed's three figures for an account; None: no limit."""

    images_per_minute: int | None
    videos_per_minute: int | None
    concurrent: int | None


TIERS = {
    "bronze": Tier(10, 5, 3),
    "silver": Tier(500, 60, 100),
    "gold": Tier(3000, 600, 2000),
    "ultra": Tier(5000, 5000, 5000),
    "none": Tier(None, None, None),
}


class Window:
    """Counts events in the last 60 s, at any moment, and remembers the highest count."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.highest = 0

    def count(self, now: float) -> int:
        """How many events the window holds."""
        while self._times and self._times[0] <= now - WINDOW_S:
            self._times.popleft()
        return len(self._times)

    def add(self, now: float) -> None:
        """One more event."""
        self._times.append(now)
        self.highest = max(self.highest, self.count(now))


@dataclass
class Account:
    """One API key's use of its limits."""

    tier: Tier
    windows: dict[str, Window] = field(default_factory=lambda: {"image": Window(), "video": Window()})
    spent: float = 0.0
    running: int = 0
    open: int = 0
    most_running: int = 0
    most_open: int = 0

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.tier.concurrent) if self.tier.concurrent else None

    def admit(self, kind: str) -> None:
        """Let one submit of an image or a video model through, or refuse it with 429."""
        now = time.monotonic()
        limit = self.tier.images_per_minute if kind == "image" else self.tier.videos_per_minute
        window = self.windows[kind]
        if limit is not None and window.count(now) >= limit:
            raise Refusal(429, f"Too many requests: {limit} {kind} tasks per minute. Please try again later.")
        window.add(now)

    def slot(self) -> AbstractAsyncContextManager[None]:
        """A place among the tasks that run at once; waits for one in the order of arrival."""
        return self._slots or nullcontext()

    def opened(self) -> None:
        """A task was created."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)

    def began(self) -> None:
        """A task got its slot."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)

    def ended(self) -> None:
        """A running task is over."""
        self.running -= 1
        self.open -= 1


class Accounts:
    """All accounts, made on first use."""

    def __init__(self, tier: str) -> None:
        self._tier = TIERS[tier]
        self._by_key: dict[str, Account] = {}

    def of(self, key: str) -> Account:
        """The account of this API key."""
        account = self._by_key.get(key)
        if account is None:
            account = self._by_key[key] = Account(self._tier)
        return account

    def all(self) -> list[Account]:
        """Every account seen so far."""
        return list(self._by_key.values())

    def clear(self) -> None:
        """Forget them."""
        self._by_key.clear()
