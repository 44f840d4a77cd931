"""Where the two clients go and where they do not: the evidence is the list of dialled addresses."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from orchestrator.net.clients import guarded_client, provider_client
from orchestrator.net.guard import AddressPolicy, BlockedUrl, checked_sockets
from orchestrator.net.transport import AiohttpTransport
from tests.net.raw_server import (
    answer_ok,
    answer_then_close,
    answering,
    closed_port,
    serving,
    tls_pair,
)
from tests.net.test_guard import HOSTILE_URLS


class World:
    """A name server that answers as it is told, and the record of what was asked and dialled."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.dialled: list[str] = []

    async def lookup(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def on_dial(self, address: str, port: int) -> None:
        self.dialled.append(address)


def loopback(port: int, *networks: str) -> AddressPolicy:
    return AddressPolicy(
        allow_networks=tuple(ip_network(net) for net in networks or ("127.0.0.1/32",)),
        allow_http=True,
        allow_ports=frozenset({port}),
    )


def guarded(world: World, policy: AddressPolicy) -> httpx.AsyncClient:
    return guarded_client(policy, lookup=world.lookup, on_dial=world.on_dial)


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=ascii)
async def test_a_hostile_url_is_never_dialled(url: str) -> None:
    world = World(["127.0.0.1"])
    async with guarded(world, AddressPolicy(allow_http=True)) as client:
        # What no URL can be made of is refused by httpx itself.
        with pytest.raises((BlockedUrl, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeEncodeError)):
            await client.post(url)
    assert world.dialled == []


@pytest.mark.parametrize(
    "answer",
    [
        ["10.0.0.1"],
        ["127.0.0.1", "10.0.0.1"],
        ["10.0.0.1", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["127.0.0.1", "::1"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        [],
    ],
    ids=str,
)
async def test_a_name_with_one_disallowed_address_is_never_dialled(answer: list[str]) -> None:
    world = World(answer)
    async with serving(answer_ok) as server, guarded(world, loopback(server.port)) as client:
        with pytest.raises(BlockedUrl):
            await client.post(f"http://hook.example:{server.port}/")
    assert world.dialled == []
    assert server.connections == 0


async def test_the_address_that_was_judged_is_dialled_under_the_original_name() -> None:
    world = World(["127.0.0.1"], ["10.0.0.1"])
    async with serving(answer_ok) as server, guarded(world, loopback(server.port)) as client:
        answer = await client.post(f"http://hook.example:{server.port}/path")
    assert answer.status_code == 200
    assert (world.asked, world.dialled) == (["hook.example"], ["127.0.0.1"])
    assert f"Host: hook.example:{server.port}".encode() in server.requests[0]


async def test_an_answer_that_changes_is_judged_again_before_the_next_dial() -> None:
    world = World(["127.0.0.1"], ["127.0.0.2"])
    async with serving(answer_then_close) as server, guarded(world, loopback(server.port)) as client:
        await client.post(f"http://hook.example:{server.port}/")
        with pytest.raises(BlockedUrl):
            await client.post(f"http://hook.example:{server.port}/")
    assert world.dialled == ["127.0.0.1"]


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["127.0.0.2", "127.0.0.3"]], ids=str)
async def test_an_address_that_slipped_past_the_look_up_gets_no_socket(addresses: list[str]) -> None:
    class Unjudged(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [
                ResolveResult(hostname=host, host=a, port=port, family=family, proto=0, flags=0)
                for a in addresses
            ]

        async def close(self) -> None:
            """Nothing to close."""

    world = World([])
    sockets = checked_sockets(loopback(80), world.on_dial)
    transport = AiohttpTransport(resolver=Unjudged(), socket_factory=sockets)
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://hook.example/")
    assert world.dialled == []


async def test_a_literal_address_is_dialled_only_where_it_is_allowed() -> None:
    world = World([])
    async with serving(answer_ok) as server, guarded(world, loopback(server.port)) as client:
        answer = await client.get(server.url)
        for neighbour in ("127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "10.0.0.1"):
            with pytest.raises(BlockedUrl):
                await client.get(f"http://{neighbour}:{server.port}/")
    assert answer.status_code == 200
    assert (world.asked, world.dialled) == ([], ["127.0.0.1"])


async def test_a_redirect_to_an_inner_address_is_not_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:6379/\r\nContent-Length: 0\r\n\r\n"
    world = World(["127.0.0.1"])
    async with serving(answering(redirect)) as server, guarded(world, loopback(server.port)) as client:
        answer = await client.get(f"http://hook.example:{server.port}/")
    assert answer.status_code == 302
    assert world.dialled == ["127.0.0.1"]


@pytest.mark.parametrize("location", ["//xn--%00a.?", "://xn--:-1//", ":http://:http", "http://[::1", "\\"])
async def test_a_redirect_to_nowhere_is_an_answer_too(location: str) -> None:
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    world = World(["127.0.0.1"])
    async with serving(answering(redirect)) as server, guarded(world, loopback(server.port)) as client:
        answer = await client.post(f"http://hook.example:{server.port}/", content=b"{}")
    assert answer.status_code == 302


async def test_tls_checks_the_original_name(tmp_path: Path) -> None:
    server_tls, client_tls = tls_pair("hook.example", tmp_path)
    world = World(["127.0.0.1"])
    async with serving(answer_ok, tls=server_tls) as server:
        policy = loopback(server.port)
        async with guarded_client(policy, tls=client_tls, lookup=world.lookup) as client:
            answer = await client.post(f"https://hook.example:{server.port}/")
            with pytest.raises(httpx.ConnectError):
                await client.post(f"https://other.example:{server.port}/")
    assert answer.status_code == 200
    assert server.server_names == ["hook.example", "other.example"]
    assert f"Host: hook.example:{server.port}".encode() in server.requests[0]


async def test_the_guarded_client_asks_for_an_unpacked_answer() -> None:
    async with serving(answer_ok) as server, guarded(World([]), loopback(server.port)) as client:
        await client.get(server.url)
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://127.0.0.1:{closed_port()}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.lower(), proxy)
    async with serving(answer_ok) as server:
        async with provider_client(base_url=server.url) as client:
            from_provider = await client.get("/")
        async with guarded(World([]), loopback(server.port)) as client:
            from_hook = await client.get(server.url)
    assert (from_provider.status_code, from_hook.status_code) == (200, 200)


async def test_the_provider_client_goes_only_to_its_host() -> None:
    async with serving(answer_ok) as other, serving(answer_ok) as server:
        key = {"Authorization": "Bearer key"}
        async with provider_client(base_url=server.url + "/api", headers=key) as client:
            await client.get("/v3/result")
            await client.get(f"{server.url}/elsewhere")
            for url in (other.url, f"https://127.0.0.1:{server.port}", f"http://localhost:{server.port}"):
                with pytest.raises(BlockedUrl):
                    await client.get(url)
    assert [request.split()[1] for request in server.requests] == [b"/api/v3/result", b"/elsewhere"]
    assert b"Authorization: Bearer key\r\n" in server.requests[0]
    assert other.connections == 0


def test_a_client_may_be_built_before_there_is_an_event_loop() -> None:
    async def use() -> int:
        async with serving(answer_ok) as server, provider_client(base_url=server.url) as client:
            return (await client.get("/")).status_code

    provider_client(base_url="https://api.example")
    assert asyncio.run(use()) == 200


async def test_a_refused_address_among_several_leaves_the_others() -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    async with serving(answer_ok) as server:
        policy = AddressPolicy(
            allow_networks=(ip_network("127.0.0.1/32"), ip_network("::1/128")),
            allow_http=True,
            allow_ports=frozenset({server.port}),
        )
        async with guarded_client(policy, lookup=two) as client:
            answer = await client.get(f"http://two.example:{server.port}/")
    assert answer.status_code == 200
