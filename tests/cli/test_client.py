"""Which server is asked, and with which key."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import msgspec
import pytest

from orchestrator import settings
from orchestrator.cli.client import USUAL_URL, Client, Running, Server, find_server
from orchestrator.cli.failures import CommandFailed, KeyRefused, NoUrl
from orchestrator.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ORCHESTRATOR_API_KEY", "ORCHESTRATOR_URL"):
        monkeypatch.delenv(name, raising=False)


def found_settings(tmp_path: Path, *, api_key: str = "") -> Settings:
    return settings.load(data_dir=tmp_path, api_key=api_key)


def start_up(tmp_path: Path) -> None:
    running = Running("http://127.0.0.1:4711", "its key", 1)
    (tmp_path / "server.json").write_bytes(msgspec.json.encode(running))


def test_a_running_up_is_found(tmp_path: Path) -> None:
    start_up(tmp_path)

    found = find_server(found_settings(tmp_path))

    assert found == Server("http://127.0.0.1:4711", "its key", str(tmp_path / "server.json"))


def test_the_key_of_a_running_up_goes_to_no_other_server(tmp_path: Path) -> None:
    start_up(tmp_path)

    assert find_server(found_settings(tmp_path), url="https://elsewhere.example").key == ""


def test_a_given_key_comes_before_the_settings_and_those_before_what_up_wrote(tmp_path: Path) -> None:
    start_up(tmp_path)
    configured = found_settings(tmp_path, api_key="configured-for-all")

    assert find_server(configured, key="given").key_from == "--key"
    assert find_server(configured).key_from == "ORCHESTRATOR_API_KEY"


@pytest.mark.parametrize(
    "given", ["foo", "http://", "http://[::1", "http://a:b", "http://a..b", "http://xn--a"]
)
def test_what_is_no_address_is_told_in_a_sentence(tmp_path: Path, given: str) -> None:
    with pytest.raises(NoUrl, match=f"'{re.escape(given)}' is no address of a server, such as http://"):
        find_server(found_settings(tmp_path), url=given)


@pytest.mark.parametrize(
    "answer",
    [httpx.ConnectError("refused"), httpx.ReadError("cut"), httpx.Response(401), httpx.Response(200)],
    ids=["no server", "no answer", "key refused", "no JSON"],
)
def test_a_password_in_the_address_is_not_shown(answer: Exception | httpx.Response) -> None:
    def answering(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = Server("http://me:secret@there:1/x", "", "--key")
    with (
        httpx.Client(base_url=server.url, transport=httpx.MockTransport(answering)) as http,
        pytest.raises(CommandFailed, match="http://there:1/x") as told,
    ):
        Client(server, http).lanes()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("given", ["me:secret@there", "http://me:sec/ret@th[ere", "ftp://me:secret@there"])
def test_a_password_in_what_is_no_address_is_not_shown_either(tmp_path: Path, given: str) -> None:
    with pytest.raises(NoUrl, match=r"^'[fhtp:/]*th\[?ere' is no address") as told:
        find_server(found_settings(tmp_path), url=given)
    assert "secret" not in str(told.value)


def test_without_any_key_it_is_told_where_it_was_looked_for() -> None:
    refused = KeyRefused(url="http://x", shown="", key_from="--key or ORCHESTRATOR_API_KEY")

    assert str(refused) == (
        "The server at http://x wants an API key, and there is none in --key or ORCHESTRATOR_API_KEY."
    )


@pytest.mark.parametrize("content", [b"", b"{", b'{"url":"http://127.0.0.1:1"}'])
def test_a_half_written_server_file_is_no_server(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "server.json").write_bytes(content)

    assert find_server(found_settings(tmp_path)) == Server(
        USUAL_URL, "", f"--key, ORCHESTRATOR_API_KEY or {tmp_path / 'server.json'}"
    )
