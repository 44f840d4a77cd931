"""The hosts of users' webhooks as one worker knows them: which may get a delivery now, and how many.

So that a dead one delays no other: a host has half of the places at most, and one until it has answered; one
that keeps failing is paused; those that nobody knows yet take no place of those that answer, and those that
kept us waiting for nothing share a few; an attempt that is not answered promptly counts for none any more.
In memory alone: a delivery's schedule is in its row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import islice

import msgspec
from msgspec.structs import replace

from orchestrator import policy

_MOST_REMEMBERED = 10_000
_MOST_LOOKED_FOR = 1_000


class Outcome(StrEnum):
    """What an attempt says of the host."""

    ANSWERED = "answered"
    FAILED = "failed"
    SILENT = "silent"
    """It kept us waiting, and there was no answer."""


class Standing(StrEnum):
    """What is thought of a host. Each kind has places of its own."""

    TRUSTED = "trusted"
    """It answers."""
    NEW = "new"
    """It has not answered yet, or keeps failing."""
    SILENT = "silent"
    """It kept us waiting for nothing lately."""


class _Host(msgspec.Struct, frozen=True):
    """`failures` are those in a row; times are `time.monotonic`'s."""

    has_answered: bool = False
    is_silent: bool = False
    failures: int = 0
    paused_until: float = 0.0

    @property
    def standing(self) -> Standing:
        if self.is_silent:
            return Standing.SILENT
        is_trusted = self.has_answered and self.failures < policy.RECEIVER_BREAKER_AT
        return Standing.TRUSTED if is_trusted else Standing.NEW


class _Attempt(msgspec.Struct, frozen=True):
    host: str
    started: float
    standing: Standing


_NEW = _Host()


class Receivers:
    """Takes no time of its own: `now` is `time.monotonic()`."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._under_way: dict[str, _Attempt] = {}
        self._unrecorded: set[str] = set()

    def free_places(self, standing: Standing, now: float) -> int:
        """How many attempts to such hosts may begin; those that wait do not count, unless they are silent."""
        started = [one.started for one in self._under_way.values() if one.standing == standing]
        if standing == Standing.SILENT:
            return policy.SILENT_DELIVERIES - len(started)
        prompt = sum(now - at < policy.DELIVERY_PROMPT_S for at in started)
        return min(policy.DELIVERIES_PER_WORKER - prompt, policy.DELIVERIES_OPEN - len(started))

    def is_crowded(self, now: float) -> bool:
        """Whether some wait for a place that no end gives back, but only time."""
        return min(self.free_places(one, now) for one in (Standing.TRUSTED, Standing.NEW)) <= 0

    def closed_hosts(self, now: float) -> list[str]:
        """The hosts that get nothing more at the moment."""
        running = self._running()
        has_silent_places = self.free_places(Standing.SILENT, now) > 0
        return [
            name
            for name in {*self._hosts, *running}
            if self._room(name, running, now) <= 0 or (self._of(name).is_silent and not has_silent_places)
        ]

    def open_hosts(self, now: float) -> list[str]:
        """The hosts that are known, and may get something at the moment; heard of last first, and not more
        than one cares to look for one by one.
        """
        running, places = self._running(), self._places(now)
        found = (
            name
            for name, host in reversed(self._hosts.items())
            if places[host.standing] > 0 and self._room(name, running, now) > 0
        )
        return list(islice(found, _MOST_LOOKED_FOR))

    def choose(self, waiting: Sequence[tuple[str, str]], now: float) -> list[str]:
        """The ids of those (id, host) that may begin now, in their order."""
        running, chosen, places = self._running(), list[str](), self._places(now)
        for identifier, name in waiting:
            standing = self._of(name).standing
            is_full = places[standing] <= 0 or self._room(name, running, now) <= 0
            if is_full or identifier in self._unrecorded:
                continue
            chosen.append(identifier)
            running[name] += 1
            places[standing] -= 1
        return chosen

    def begin(self, identifier: str, name: str, now: float) -> None:
        self._under_way[identifier] = _Attempt(name, now, self._of(name).standing)
        self._unrecorded.add(identifier)

    def free(self, identifier: str) -> None:
        """It was answered: its place is another's, but it is not begun again before its record is written."""
        self._under_way.pop(identifier, None)

    def end(self, identifier: str) -> None:
        self.free(identifier)
        self._unrecorded.discard(identifier)

    def learn(self, name: str, outcome: Outcome, now: float) -> None:
        """An answer forgets all failures."""
        host = self._hosts.pop(name, _NEW)
        self._hosts[name] = _after(host, outcome, now)
        if len(self._hosts) > _MOST_REMEMBERED:
            del self._hosts[next(iter(self._hosts))]  # the one heard of longest ago

    def _of(self, name: str) -> _Host:
        return self._hosts.get(name, _NEW)

    def _running(self) -> Counter[str]:
        return Counter(one.host for one in self._under_way.values())

    def _places(self, now: float) -> dict[Standing, int]:
        return {standing: self.free_places(standing, now) for standing in Standing}

    def _room(self, name: str, running: Counter[str], now: float) -> int:
        host = self._of(name)
        if now < host.paused_until:
            return 0
        most = policy.DELIVERIES_PER_HOST if host.standing == Standing.TRUSTED else 1
        return most - running[name]


def _after(host: _Host, outcome: Outcome, now: float) -> _Host:
    if outcome == Outcome.ANSWERED:
        return _Host(has_answered=True)
    failures = host.failures + 1
    return replace(
        host,
        # A 500 is an answer of a kind, but says nothing new of a host that is silent at other times.
        is_silent=host.is_silent or outcome == Outcome.SILENT,
        failures=failures,
        paused_until=now + policy.receiver_pause_s(failures),
    )
