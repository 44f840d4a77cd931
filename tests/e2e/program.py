"""One real process for an end-to-end test: started, killed, frozen, and restarted with the same arguments.

Its output goes to a file that a failing test shows. It never outlives the tests: `tests.services.keeper` ends
what they leave behind.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx

from tests.services.process import tell_keeper

T = TypeVar("T")

PROJECT = Path(__file__).parents[2]
START_S = 30.0
# Below the ports that the kernel gives to outgoing connections: a restarted server finds its own again.
OWN_PORTS = range(20_000, 32_000)
_PROCESSES = 4


def _own_ports() -> Iterator[int]:
    """Those of this process of pytest, from a random one on, so that two runs on one machine seldom meet."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = OWN_PORTS[number % _PROCESSES :: _PROCESSES]
    start = random.SystemRandom().randrange(len(own))
    return itertools.cycle([*own[start:], *own[:start]])


_PORTS = _own_ports()

LIVE: list[Program] = []
"""All programs that run at the moment; a failing test shows the end of their logs."""


@dataclass(eq=False)
class Program:
    """`python -m` with these words. `is_ready` looks whether it has started."""

    name: str
    words: Sequence[str]
    folder: Path
    is_ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = field(default=None, init=False)
    read_from: int = field(default=0, init=False)
    """Where the log of its present life begins."""

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def start(self, **env: str) -> None:
        """Return when it is ready; `env` is added for this life of it alone."""
        self.spawn(**env)
        await until(self._has_started, within=START_S, what=f"{self.name} to start")

    def spawn(self, **env: str) -> None:
        """Start it and do not wait."""
        self.read_from = len(self.said())
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", *self.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT), **self.env, **env},
                start_new_session=True,
            )
        tell_keeper(f"watch {self.running.pid} {signal.SIGKILL.value}")
        LIVE.append(self)

    async def ends(self, *, within: float = 15.0) -> int:
        """Wait for its end; its exit status, negative for a signal."""
        assert self.running is not None
        process = self.running

        async def has_ended() -> bool:
            return process.poll() is not None

        await until(has_ended, within=within, what=f"{self.name} to end")
        self._forget()
        return process.returncode

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        await self.ends()

    async def stop(self, *, within: float = 12.0) -> float:
        """SIGTERM; how many seconds its end took."""
        began = time.monotonic()
        self.send(signal.SIGTERM)
        status = await self.ends(within=within)
        assert status == 0, f"{self.name} ended with {status}\n{self.said()[-3_000:]}"
        return time.monotonic() - began

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    async def is_frozen(self) -> bool:
        assert self.running is not None
        return state_of(self.running.pid) == "T"

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        assert self.running is not None, f"{self.name} does not run"
        self.running.send_signal(number)

    def discard(self) -> None:
        """End it at once, if it still runs."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
            self._forget()

    async def _has_started(self) -> bool:
        assert self.running is not None
        if self.running.poll() is not None:
            self._forget()
            raise AssertionError(f"{self.name} did not start:\n{self.said()[-3_000:]}")
        return await self.is_ready()

    def _forget(self) -> None:
        assert self.running is not None
        tell_keeper(f"forget {self.running.pid}")
        LIVE.remove(self)
        self.running = None


async def until(
    condition: Callable[[], Awaitable[T]], *, within: float = 15.0, what: str = "the condition"
) -> T:
    """Look again and again until the condition gives something true, and give that."""
    give_up_at = time.monotonic() + within
    while True:
        found = await condition()
        if found:
            return found
        assert time.monotonic() < give_up_at, f"waited {within:g} s for {what}"
        await asyncio.sleep(0.03)


def answers_at(url: str) -> Callable[[], Awaitable[bool]]:
    """Ready means that something answers there."""

    async def is_ready() -> bool:
        async with httpx.AsyncClient(timeout=2) as http:
            try:
                return (await http.get(url)).status_code == 200
            except httpx.HTTPError:
                return False

    return is_ready


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does; T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def free_port() -> int:
    """A port that nobody listens on, that no outgoing connection will take meanwhile, and that no other test
    of this run is given.
    """
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("it never ends")
