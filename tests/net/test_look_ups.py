"""The judge of what a name server answers and of what is dialled."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from orchestrator.net.guard import AddressPolicy, BlockedUrl, GuardedResolver, checked_sockets

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
