"""The judge of URLs and addresses, without any network."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_network

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.net.guard import (
    MAX_URL_CHARS,
    AddressPolicy,
    BlockedUrl,
    check_address,
    check_url,
)

STRICT = AddressPolicy()
LENIENT = AddressPolicy(allow_http=True, allow_ports=frozenset({8443}))
EVERYWHERE = AddressPolicy(
    allow_networks=(ip_network("0.0.0.0/0"), ip_network("::/0")),
    allow_http=True,
    allow_ports=frozenset({8443}),
)

HOSTILE_URLS = [
    "",
    "hook.example",
    "//hook.example/",
    "https:/hook.example/",
    "https:///path",
    "https://",
    "ftp://hook.example/",
    "file:///etc/passwd",
    "gopher://hook.example/",
    "javascript:alert(1)",
    "https+unix://%2Frun%2Fdocker.sock/",
    "https://user@hook.example/",
    "https://user:password@hook.example/",
    "https://@hook.example/",
    "https://hook.example:22/",
    "https://hook.example:0/",
    "https://hook.example:65536/",
    "https://hook.example:port/",
    "https://hook.example:6379/",
    "https://hook.example/" + "a" * MAX_URL_CHARS,
    "https://hook.example/" + "é" * (MAX_URL_CHARS // 2),
    "https://hook.example/#fragment",
    "https://hook.example#@127.0.0.1/",
    "https://hook.example\\@127.0.0.1/",
    "https://hook.example/\r\nX-Injected: 1",
    "https://hook.example/\x00",
    "https://hook.example/\x7f",
    "https://hook.example/\u2028",
    "https://hook.ex\u200bample/",
    "https://hook.example/\ud800",
    "https://hook example/",
    " https://hook.example/",
    "https://hook.example /",
    "https://-hook.example/",
    "https://hook..example/",
    "https://hook.example./",
    "https://.hook.example/",
    "https://hook%2eexample/",
    "https://%31%32%37.0.0.1/",
    "https://*.example/",
    "https://" + "a" * 64 + ".example/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0X7F.1/",
    "https://hook.0x/",
    "https://0/",
    "https://0.0.0.0/",
    "https://256.256.256.256/",
    "https://8.8.8.08/",
    "https://134744072/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://192.168.1.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1111%25eth0]/",
    "https://[fd00::1]/",
    "https://[2002:7f00:1::]/",
    "https://[::1/",
    "https://[v1.fe80]/",
    "https://[127.0.0.1]/",
]


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=ascii)
def test_a_hostile_url_is_refused_at_the_door(url: str) -> None:
    with pytest.raises(BlockedUrl) as caught:
        check_url(url, LENIENT)
    assert str(caught.value) == "This URL cannot be reached from here."
    assert caught.value.cause


@pytest.mark.parametrize(
    "url",
    [
        "https://hook.example",
        "https://hook.example/path?x=%41+b&y=[1]",
        "https://hook.example:443/",
        "https://hook.example:80/",
        "https://hook.example:8443/",
        "http://hook.example/",
        "HTTPS://HOOK.example/",
        "https://exämple.example/é",
        "https://under_score.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://[::ffff:8.8.8.8]/",
        "https://hook.example?query",
        "https://1.hook.example/",
        "https://hook.example/@user",
    ],
)
def test_an_ordinary_url_passes_the_door(url: str) -> None:
    check_url(url, LENIENT)


def test_a_url_that_passed_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = httpx.URL

    def counting(url: str) -> httpx.URL:
        parsed.append(url)
        return parse(url)

    monkeypatch.setattr(httpx, "URL", counting)
    url = "http://hook.example/of-each-line"
    for _ in range(3):
        check_url(url, LENIENT)
    assert parsed == [url]
    with pytest.raises(BlockedUrl):
        check_url(url, STRICT)


@given(
    st.text()
    | st.text().map("https://{}".format)
    | st.text("0123456789abcdefx.:[]%/@#").map("http://{}/".format)
)
def test_the_door_passes_or_refuses_and_never_fails(url: str) -> None:
    with suppress(BlockedUrl):
        check_url(url, LENIENT)


@pytest.mark.parametrize("url", ["http://hook.example/", "https://hook.example:8443/"])
def test_plain_http_and_other_ports_need_the_operator(url: str) -> None:
    check_url(url, LENIENT)
    with pytest.raises(BlockedUrl):
        check_url(url, STRICT)


FIRST_AND_LAST_BLOCKED = """
    0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0
    127.255.255.255 169.254.0.0 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255
    192.0.2.0 192.0.2.255 192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0
    198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255
    240.0.0.0 255.255.255.255 :: ::1 ::8.8.8.8 ::ffff:10.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::8.8.8.8
    64:ff9b:1:: 100:: 1fff:ffff:: 2001:: 2001:1ff:ffff:: 2001:db8:: 2001:db8:ffff:: 2002::
    2002:ffff:: 3fff:: 3fff:fff:: 4000:: 5f00:: fc00:: fdff:: fe80:: febf:: fec0:: ff02::1
    2606:4700::1111%eth0
"""

JUST_OUTSIDE = """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0
    192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255
    198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 2000:: 2001:200:: 2001:db7:ffff::
    2001:db9:: 2003:: 2606:4700::1111 3ffe:: 3fff:1000:: ::ffff:8.8.8.8
"""


@pytest.mark.parametrize("address", FIRST_AND_LAST_BLOCKED.split())
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(BlockedUrl):
        check_address(address, STRICT)


@pytest.mark.parametrize("address", JUST_OUTSIDE.split())
def test_a_public_address_passes(address: str) -> None:
    check_address(address, STRICT)


NEVER = """
    169.254.169.254 169.254.0.1 ::ffff:169.254.169.254 fe80::1 fe80::1%eth0 fd00:ec2::254
    fd20:ce::254 100.100.100.200 192.0.0.192 168.63.129.16 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1
"""


@pytest.mark.parametrize("address", NEVER.split())
def test_no_allow_list_opens_link_local_or_metadata(address: str) -> None:
    with pytest.raises(BlockedUrl):
        check_address(address, EVERYWHERE)


def test_allowing_one_address_opens_only_that_one() -> None:
    policy = AddressPolicy(allow_networks=(ip_network("10.1.2.3/32"),))
    check_address("10.1.2.3", policy)
    check_address("::ffff:10.1.2.3", policy)
    for neighbour in ("10.1.2.2", "10.1.2.4", "10.0.0.0", "127.0.0.1", "::1"):
        with pytest.raises(BlockedUrl):
            check_address(neighbour, policy)


@pytest.mark.parametrize(("network", "form"), [("64:ff9b::/96", "64:ff9b::{}"), ("2002::/16", "2002:{}::1")])
def test_allowing_a_network_of_translated_addresses_opens_no_others(network: str, form: str) -> None:
    translated = AddressPolicy(allow_networks=(ip_network(network), ip_network("10.1.2.3/32")))
    for allowed in ("808:808", "a01:203"):  # 8.8.8.8 and 10.1.2.3
        check_address(form.format(allowed), translated)
        with pytest.raises(BlockedUrl):
            check_address(form.format(allowed), STRICT)
    for blocked in ("7f00:1", "a9fe:a9fe", "a01:204"):  # 127.0.0.1, 169.254.169.254 and 10.1.2.4
        with pytest.raises(BlockedUrl):
            check_address(form.format(blocked), translated)
