"""The judge of what a name server answers and of what is dialled."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from ipaddress import ip_network
from typing import Any

import pytest

from orchestrator.net.guard import AddressPolicy, BlockedUrl, GuardedResolver, checked_sockets
from orchestrator.net.lookups import SystemLookup

STRICT = AddressPolicy()


@pytest.mark.parametrize(
    "addresses",
    [[], ["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8"] * 9 + ["::1"], ["8.8.8.8", "not an address"]],
    ids=str,
)
async def test_one_disallowed_answer_refuses_the_name(addresses: list[str]) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return addresses

    with pytest.raises(BlockedUrl):
        await GuardedResolver(STRICT, lookup=lookup).resolve("hook.example", 443)


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "no such host"), UnicodeError("label too long")], ids=repr
)
async def test_a_failed_look_up_is_a_refusal(error: Exception) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(BlockedUrl):
        await GuardedResolver(STRICT, lookup=lookup).resolve("hook.example", 443)


async def test_a_name_with_many_addresses_is_dialled_at_few_of_them() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return [f"8.8.8.{last}" for last in range(200)]

    assert len(await GuardedResolver(STRICT, lookup=lookup).resolve("hook.example", 443)) == 4


async def test_the_system_is_asked_when_no_look_up_is_given() -> None:
    policy = AddressPolicy(allow_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    resolver = GuardedResolver(policy)
    found = await resolver.resolve("localhost", 443)
    await resolver.close()
    assert {answer["host"] for answer in found} <= {"127.0.0.1", "::1"}
    assert found


def test_no_socket_is_made_for_a_disallowed_address() -> None:
    dialled: list[tuple[str, int]] = []
    make = checked_sockets(STRICT, lambda address, port: dialled.append((address, port)))
    with pytest.raises(PermissionError):
        make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80)))
    make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 443))).close()
    assert dialled == [("8.8.8.8", 443)]


class System:
    """The system's resolver: names that begin with `slow` wait until they may be answered."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.threads: set[threading.Thread] = set()

    def look_up(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.threads.add(threading.current_thread())
        if host.startswith("slow"):
            assert self.may_answer.wait(20)
        if host.startswith("no"):
            raise ValueError("no such form of a name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"8.8.8.{len(host)}", port))]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(socket, "getaddrinfo", system.look_up)
    return system


async def test_names_that_are_slow_hold_up_no_other(system: System) -> None:
    look_up = SystemLookup(100)
    slow = [asyncio.create_task(look_up(f"slow{number}", 443)) for number in range(50)]
    await asyncio.sleep(0)
    assert await look_up("quick", 443) == ["8.8.8.5"]
    assert not any(task.done() for task in slow)
    system.may_answer.set()
    assert {*map(tuple, await asyncio.gather(*slow))} == {("8.8.8.5",), ("8.8.8.6",)}
    look_up.close()


async def test_more_names_than_may_be_asked_for_at_a_time_wait(system: System) -> None:
    look_up = SystemLookup(2)
    asked = [asyncio.create_task(look_up("slow", 443)) for _ in range(6)]
    await asyncio.sleep(0)
    for given_up in asked[:4]:
        given_up.cancel()
    system.may_answer.set()
    assert await asyncio.gather(*asked[4:]) == [["8.8.8.4"]] * 2
    look_up.close()
    assert len(system.threads) <= 2


async def test_a_thread_is_used_again_whatever_its_name_came_to_and_ends_with_the_client(
    system: System,
) -> None:
    look_up = SystemLookup(100)
    for _ in range(20):
        await look_up("quick", 443)
        with pytest.raises(ValueError, match="no such form"):
            await look_up("none", 443)
    (thread,) = system.threads
    look_up.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_look_up_that_never_ends_does_not_hold_the_process() -> None:
    program = """
import asyncio, contextlib, socket, threading
from orchestrator.net.guard import AddressPolicy, GuardedResolver

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()

async def main():
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await GuardedResolver(AddressPolicy()).resolve("slow.example")

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
