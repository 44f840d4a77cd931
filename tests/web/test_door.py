"""Who may log in over plain HTTP, and who is warned, by the name and the address that a request came from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from orchestrator.web.dashboard.viewer import Door

HERE, CONTAINERS, ELSEWHERE = "127.0.0.1", "172.17.0.1", "10.1.2.3"


def door(host: str, peer: str, *, public_url: str = "", plain_login: bool = False) -> Door:
    settings = SimpleNamespace(public_url=public_url, plain_login=plain_login)
    state = SimpleNamespace(runtime=SimpleNamespace(settings=settings), authenticate=None)
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", host.encode())],
        "client": (peer, 1),
        "app": SimpleNamespace(state=state),
    }
    return Door.of(Request(scope))


@pytest.mark.parametrize(
    ("host", "peer", "is_allowed", "is_exposed"),
    [
        ("localhost:8080", HERE, True, False),
        ("[::1]:8080", "::1", True, False),
        ("localhost:8080", CONTAINERS, False, False),
        ("10.9.9.9:8080", ELSEWHERE, False, True),
        ("10.9.9.9:8080", HERE, False, True),
    ],
)
def test_plain_http_is_for_this_machine(host: str, peer: str, is_allowed: bool, is_exposed: bool) -> None:
    plain = door(host, peer)
    assert (plain.is_allowed, plain.is_exposed) == (is_allowed, is_exposed)
    assert door(host, peer, plain_login=True).is_allowed


def test_who_comes_past_the_proxy_that_ends_tls_is_warned() -> None:
    public = "https://jobs.example"
    past = door("localhost:8080", HERE, public_url=public)
    assert (past.is_allowed, past.is_exposed) == (False, True)
    through = door("jobs.example", HERE, public_url=public)
    assert (through.is_allowed, through.is_exposed) == (True, False)
