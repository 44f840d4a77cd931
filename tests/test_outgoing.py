"""Nothing leaves the house but through `net/`: whoever else can open a connection is listed, with where to.

Every call in every module is read. The stand-in for the provider is no part of the house.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "orchestrator"

# Libraries that connect by themselves; `net/` alone may import them.
CONNECTING_LIBRARIES = frozenset(
    {
        "aiohttp",
        "ftplib",
        "http.client",
        "httpcore",
        "imaplib",
        "poplib",
        "requests",
        "smtplib",
        "telnetlib",
        "urllib.request",
        "urllib3",
        "websockets",
        "xmlrpc.client",
    }
)
# What opens a connection of those that others may import.
CONNECTING_CALLS = frozenset(
    [
        *(
            f"httpx.{name}"
            for name in ["get", "post", "put", "patch", "delete", "head", "options", "request", "stream"]
        ),
        *(f"httpx.{name}" for name in ["Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport"]),
        *(f"socket.{name}" for name in ["socket", "create_connection", "socketpair", "fromfd"]),
        *(f"asyncio.{name}" for name in ["open_connection", "open_unix_connection"]),
    ]
)
# Methods of an event loop and of a socket, whatever the object is called.
CONNECTING_METHODS = frozenset(
    ["create_connection", "create_unix_connection", "create_datagram_endpoint", "sock_connect", "connect_ex"]
)
# Each goes to one place that the operator or the caller of a command has named, never to a URL of a job.
ALLOWED = {
    ("broker", "socket.socket"): "the private Valkey's Unix socket",
    ("serving", "socket.socket"): "the listening socket",
    ("cli.client", "httpx.Client"): "the user's own server",
    ("cli.save", "httpx.Client"): "outputs, on the machine of whoever asked for them",
    ("cli.bulk.saving", "httpx.Client"): "outputs, on the machine of whoever asked for them",
}
# Who may have a client that goes out, and which.
CLIENTS = {
    "guarded_client": {"runtime"},
    "provider_client": {"runtime", "cli.provider_check"},
    "AiohttpTransport": set(),
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if name.partition(".")[0] not in ("net", "sandbox"):
            yield name, ast.parse(path.read_text())


HOUSE = dict(modules())


def dotted(node: ast.expr) -> str:
    """`httpx.Client` of an attribute of a name; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def connections_in(tree: ast.AST) -> Iterator[str]:
    """What in this module opens a connection: calls, subclasses, names taken out of their library."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=called):
                if dotted(called) in CONNECTING_CALLS:
                    yield dotted(called)
                elif isinstance(called, ast.Attribute) and called.attr in CONNECTING_METHODS:
                    yield called.attr
            case ast.ClassDef(bases=bases):
                yield from (name for name in map(dotted, bases) if name in CONNECTING_CALLS)
            case ast.ImportFrom(module=module):
                taken = {f"{module}.{alias.name}" for alias in node.names}
                yield from (name for name in taken if {name, str(module)} & CONNECTING)
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in CONNECTING_LIBRARIES)


CONNECTING = CONNECTING_CALLS | CONNECTING_LIBRARIES


def test_only_the_listed_open_connections_of_their_own() -> None:
    found = {(name, what) for name, tree in HOUSE.items() for what in connections_in(tree)}
    assert found == ALLOWED.keys()


@pytest.mark.parametrize("client", CLIENTS)
def test_only_the_listed_have_a_client_that_goes_out(client: str) -> None:
    users = {
        name
        for name, tree in HOUSE.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and client in {alias.name for alias in node.names}
    }
    assert users == CLIENTS[client]


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\nhttpx.get(url)",
        "import httpx\nasync def f():\n    async with httpx.AsyncClient() as client: ...",
        "import httpx\nclass Mine(httpx.AsyncClient): ...",
        "from httpx import AsyncClient",
        "import aiohttp",
        "from aiohttp import ClientSession",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import asyncio\nasync def f(): await asyncio.open_connection(host, 80)",
        "async def f(loop): await loop.create_connection(factory, host, 80)",
        "import socket\nsocket.create_connection((host, 80))",
        "import requests",
    ],
)
def test_a_way_out_would_be_seen(text: str) -> None:
    assert list(connections_in(ast.parse(text)))


@pytest.mark.parametrize("text", ["import httpx\ndef f(client: httpx.AsyncClient) -> httpx.Response: ..."])
def test_being_given_a_client_is_no_way_out(text: str) -> None:
    assert not list(connections_in(ast.parse(text)))
