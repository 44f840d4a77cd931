"""How a server's own address is written."""

from __future__ import annotations

import socket

import pytest

from orchestrator.serving import url_of


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]"),
        ("::", "[::1]"),
        ("fd00::7", "[fd00::7]"),
        ("jobs.example.com", "jobs.example.com"),
    ],
)
def test_a_hosts_address_can_be_used_as_it_is_shown(host: str, shown: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert url_of(listener, host) == f"http://{shown}:{listener.getsockname()[1]}"
