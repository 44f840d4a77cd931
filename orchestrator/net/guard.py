"""Where a URL that a user or a provider gave us may lead: the judge of URLs, names and addresses.

`check_url` is the test at the door, without any look-up. `GuardedResolver` judges every answer of a look-up,
and `checked_sockets` the very address that is dialled: what was judged is what is connected to.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

from orchestrator.errors import Refused
from orchestrator.net.lookups import SystemLookup

if TYPE_CHECKING:
    from aiohttp.connector import AddrInfoType

Lookup = Callable[[str, int], Awaitable[list[str]]]
DialLog = Callable[[str, int], None]

MAX_URL_CHARS = 2048
# A failed dial makes aiohttp try the rest again, so a long answer would multiply into many dials.
MAX_DIALLED = 4

# IANA's special-purpose registries. `ipaddress.is_global` of Python 3.11 lets multicast, 6to4 and NAT64 pass.
_BLOCKED_IPV4 = tuple(
    ip_network(net)
    for net in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PUBLIC_IPV6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_BLOCKED_IPV6 = tuple(ip_network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

# Link-local, and the metadata services of clouds that live elsewhere: no allow-list opens them.
_NEVER = tuple(
    ip_network(net)
    for net in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",  # AWS
        "fd20:ce::/32",  # Google Cloud
        "100.100.100.200/32",  # Alibaba Cloud
        "192.0.0.192/32",  # Oracle Cloud
        "168.63.129.16/32",  # Azure
    )
)

_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?]+)(?:[/?].*)?", re.IGNORECASE)
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*")
# The WHATWG URL standard: a host whose last label is a number is an IPv4 address, in whatever form.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


class BlockedUrl(Refused):
    """This URL cannot be reached from here."""

    def __init__(self, reason: str) -> None:
        """`reason` is for the operator's log; the client always reads the same sentence."""
        super().__init__(cause=reason)


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """What the operator allows beyond public addresses on the ports 80 and 443 over https."""

    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_http: bool = False
    allow_ports: frozenset[int] = frozenset()


@lru_cache(maxsize=256)  # each line of a batch has the same, and each delivery asks again
def check_url(url: str, policy: AddressPolicy) -> None:
    """Raises BlockedUrl for what needs no look-up to be refused. A host name is judged when it is dialled."""
    authority = _authority(url)
    if "@" in authority:
        raise BlockedUrl("the URL has user information")
    try:
        parsed = httpx.URL(url)  # the parser that the request will use, so that both read the same host
    except (httpx.InvalidURL, ValueError) as error:
        # The parser quotes what it stumbled over, which may be a password in the wrong place.
        raise BlockedUrl("the URL cannot be parsed") from error
    if len(str(parsed)) > MAX_URL_CHARS:
        raise BlockedUrl(f"the URL has more than {MAX_URL_CHARS} characters once it is quoted")
    if parsed.scheme == "http" and not policy.allow_http:
        raise BlockedUrl("plain http is not allowed")
    if parsed.port is not None and parsed.port not in policy.allow_ports | {80, 443}:
        raise BlockedUrl(f"port {parsed.port} is not allowed")
    _check_host(parsed.raw_host.decode("ascii"), policy)


def check_address(address: str, policy: AddressPolicy) -> None:
    """Raises BlockedUrl unless `address`, in its numeric form, is public or allowed by the operator."""
    try:
        ip = _plain(ip_address(address))
    except ValueError as error:
        raise BlockedUrl(f"{address} is not a plain address") from error
    if any(ip in network for network in _NEVER):
        raise BlockedUrl(f"{address} is link-local or a metadata service")
    if not _is_public(ip) and not any(ip in network for network in policy.allow_networks):
        raise BlockedUrl(f"{address} is not public and not allowed")
    if (inner := _translated(ip)) is not None:
        check_address(str(inner), policy)


def _authority(url: str) -> str:
    if len(url) > MAX_URL_CHARS:
        raise BlockedUrl(f"the URL has more than {MAX_URL_CHARS} characters")
    if not url.isprintable() or not {" ", "\\", "#"}.isdisjoint(url):
        raise BlockedUrl("the URL has a control character, a space, a backslash or a fragment")
    match = _ABSOLUTE.fullmatch(url)
    if match is None:
        raise BlockedUrl("not an absolute http or https URL")
    return match["authority"]


def _check_host(host: str, policy: AddressPolicy) -> None:
    if ":" in host:
        check_address(host, policy)
    elif _ENDS_IN_NUMBER.fullmatch(host):
        check_address(host, policy)  # takes the canonical form only: no octal, no hex, no short one
    elif not _HOST_NAME.fullmatch(host):
        raise BlockedUrl(f"{host!r} is not a host name")


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6's clothes is judged as IPv4; a zone would choose the interface."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.scope_id is not None:
        raise ValueError("a zone")
    return ip.ipv4_mapped or ip


def _translated(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Where NAT64 (RFC 6052) or 6to4 (RFC 3056) leads, for an operator who allows those networks."""
    if isinstance(ip, IPv4Address):
        return None
    return IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip.sixtofour


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _BLOCKED_IPV4)
    return ip in _PUBLIC_IPV6 and not any(ip in network for network in _BLOCKED_IPV6)


class GuardedResolver(AbstractResolver):
    """Looks a name up once and refuses it if any of its addresses is disallowed."""

    def __init__(self, policy: AddressPolicy, *, most: int = 100, lookup: Lookup | None = None) -> None:
        """The system is asked for `most` names at a time, unless `lookup` replaces it."""
        self._policy = policy
        self._system = SystemLookup(most)
        self._lookup = lookup or self._system

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            addresses = list(dict.fromkeys(await self._lookup(host, port)))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that DNS cannot carry
            raise BlockedUrl(f"{host} cannot be looked up: {error}") from error
        if not addresses:
            raise BlockedUrl(f"{host} has no address")
        for address in addresses:
            check_address(address, self._policy)
        return [_numeric(host, address, port) for address in addresses[:MAX_DIALLED]]

    async def close(self) -> None:
        self._system.close()


def _numeric(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


def checked_sockets(
    policy: AddressPolicy, on_dial: DialLog | None = None
) -> Callable[[AddrInfoType], socket.socket]:
    """The socket factory that has the last word: it sees the address as the kernel will, whoever gave it."""

    def open_socket(addr_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, (address, port, *_) = addr_info
        try:
            check_address(str(address), policy)
        except BlockedUrl as blocked:  # while racing several addresses aiohttp understands only OSError
            raise PermissionError(blocked.cause) from blocked
        if on_dial is not None:
            on_dial(str(address), int(port))
        return socket.socket(family, kind, protocol)

    return open_socket
