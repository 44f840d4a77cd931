"""`submit` where the answer is lost: the job may be stored, and the same command must be able to find it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import typer

from orchestrator.cli import use
from orchestrator.cli.client import Client, Server
from orchestrator.cli.failures import Declined, NoAnswer, NoServer
from orchestrator.cli.use import as_typed
from tests.cli.conftest import PROJECT, Command

MODEL = "wavespeed-ai/flux-dev"
HINT = re.compile(r"It may be stored: the same command with `--idempotency-key (\w+)` finds it\.\n")


@contextmanager
def listening(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """The URL of a server that reads the beginning of each request and does this with it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection, connection.recv(65_536))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def client_of(*answers: Exception | httpx.Response) -> Client:
    """Each request gets the next of these."""
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    http = httpx.Client(base_url="http://there", transport=httpx.MockTransport(answer))
    return Client(Server("http://there", "", ""), http)


def submit(client: Client) -> None:
    with use._telling_the_key("the-key", {}):
        client.submit(MODEL, {}, idempotency_key="the-key")


def test_a_lost_answer_is_told_with_the_key_that_finds_the_job(orchestrator: Command) -> None:
    keys = set()

    def break_off(_connection: socket.socket, request: bytes) -> None:
        keys.update(re.findall(rb"idempotency-key: (\w+)", request))

    with listening(break_off) as url:
        told = orchestrator("submit", MODEL, "-p", "prompt=x", "--url", url)

    [key] = keys
    found = HINT.search(told.stderr)
    assert (told.returncode, told.stdout) == (1, "")
    assert found is not None, told.stderr
    assert found[1] == key.decode()


def test_ctrl_c_while_it_is_sent_tells_the_key(tmp_path: Path) -> None:
    is_sent, is_over = threading.Event(), threading.Event()

    def say_nothing(_connection: socket.socket, _request: bytes) -> None:
        is_sent.set()
        is_over.wait()

    with (
        listening(say_nothing) as url,
        subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "submit", MODEL, "-p", "prompt=x", "--url", url],
            cwd=tmp_path,
            env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT)},
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert is_sent.wait(60)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        is_over.set()

    assert process.returncode == 130
    assert HINT.fullmatch(told), told


def test_a_server_that_is_gone_at_the_second_try_may_have_stored_it() -> None:
    with pytest.raises(NoAnswer, match=r"(?s)No server answers .* `--idempotency-key the-key` finds it"):
        submit(client_of(httpx.ReadError("cut"), httpx.ConnectError("refused")))


def test_a_server_that_fails_may_have_stored_it() -> None:
    with pytest.raises(NoAnswer, match=r"HTTP 502\.\nIt may be stored: "):
        submit(client_of(httpx.Response(502)))


@pytest.mark.parametrize(
    ("answer", "failure"), [(httpx.ConnectError("refused"), NoServer), (httpx.Response(400), Declined)]
)
def test_what_is_surely_not_stored_is_not_called_so(
    answer: Exception | httpx.Response, failure: type[Exception]
) -> None:
    with pytest.raises(failure) as told:
        submit(client_of(answer))
    assert "stored" not in str(told.value)


def test_the_whole_model_is_asked_for() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(400)

    http = httpx.Client(base_url="http://there", transport=httpx.MockTransport(answer))
    with pytest.raises(Declined):
        Client(Server("http://there", "", ""), http).submit("a/b?x=y#z%2f", {}, idempotency_key="k")
    assert asked == [b"/api/v3/a/b%3Fx%3Dy%23z%252f"]


@pytest.mark.parametrize("model", ["a/../b", "..", "a/./b", "/a", "a//b", ""])
def test_a_path_is_no_model(orchestrator: Command, model: str) -> None:
    told = orchestrator("submit", model, "--url", "http://127.0.0.1:1")

    assert told.returncode == 2
    assert "is no model" in told.stderr


def test_uploaded_files_are_named_by_their_urls(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, use._telling_the_key("k", {"image": "http://there/a?b"}):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == (
        "It may be stored: the same command with `--idempotency-key k -p 'image=http://there/a?b'`"
        " in place of the files finds it.\n"
    )


def test_what_is_to_be_typed_next_names_the_server_without_its_login() -> None:
    source = SimpleNamespace(name="COMMANDLINE")
    typed: Any = SimpleNamespace(
        params={"url": "http://bob:hunter2@there"}, get_parameter_source=lambda _: source
    )
    assert as_typed(typed) == " --url http://there"
