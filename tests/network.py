"""Keeps the tests on this machine: a connection that would leave it fails, with its address in the error.

It sees what goes through Python's sockets, asyncio's event loop included; uvloop connects past it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

SERVERS_GIVEN = ("TEST_DATABASE_URL", "TEST_REDIS_URL")


@contextmanager
def loopback_only() -> Iterator[None]:
    allowed = _addresses_given()
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_to_leave(self.family, address, allowed)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_to_leave(self.family, address, allowed)
        return connect_ex(self, address)

    with (
        patch.object(socket.socket, "connect", guarded_connect),
        patch.object(socket.socket, "connect_ex", guarded_connect_ex),
    ):
        yield


def _refuse_to_leave(family: int, address: Any, allowed: frozenset[str]) -> None:
    if family == socket.AF_UNIX:
        return
    host = str(address[0])
    if host not in allowed and not _is_loopback(host):
        raise AssertionError(f"a test tried to leave this machine: {address!r}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses_given() -> frozenset[str]:
    """The servers that whoever runs the tests has named may stand elsewhere."""
    hosts = {urlsplit(os.environ.get(name, "")).hostname for name in SERVERS_GIVEN} - {None}
    found = {str(entry[4][0]) for host in hosts for entry in socket.getaddrinfo(host, None)}
    return frozenset(found | {host for host in hosts if host})
