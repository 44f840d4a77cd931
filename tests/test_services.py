"""The servers that the other tests stand on: empty when new, gone when their test is gone."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from redis import ConnectionError as ValkeyGone
from redis import Redis

from tests.services.keeper import is_running
from tests.services.postgres import PostgresProcess
from tests.services.valkey import ValkeyProcess

PROJECT = Path(__file__).parent.parent
ORPHAN_MAKER = """
from tests.services.keeper import is_running
from tests.services.postgres import start_postgres
from tests.services.valkey import start_valkey
servers = start_postgres(), start_valkey()
for server in servers:
    print(server.process.running.pid, server.process.folder, flush=True)
input()
"""


async def _ask(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_each_new_database_is_empty_and_its_own(new_postgres_database: Callable[[], str]) -> None:
    first, second = new_postgres_database(), new_postgres_database()
    await _ask(first, "CREATE TABLE mark (id int)")
    assert await _ask(second, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    assert await _ask(second, "SHOW server_encoding") == "UTF8"


async def test_a_killed_postgres_comes_back_with_what_was_committed(own_postgres: PostgresProcess) -> None:
    await _ask(own_postgres.url, "CREATE TABLE kept (id int)")
    own_postgres.kill()
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        await _ask(own_postgres.url, "SELECT 1")
    own_postgres.restart()
    assert await _ask(own_postgres.url, "SELECT count(*) FROM kept") == 0


def test_each_new_valkey_database_is_empty(new_valkey_url: Callable[[], str]) -> None:
    for _ in range(2):
        with Redis.from_url(new_valkey_url()) as client:
            assert client.dbsize() == 0
            client.set("mark", "1")


def test_a_killed_valkey_comes_back_empty_at_the_same_url(own_valkey: ValkeyProcess) -> None:
    with Redis.from_url(own_valkey.url) as client:
        client.set("mark", "1")
        own_valkey.kill()
        with pytest.raises(ValkeyGone):
            client.ping()
        own_valkey.restart()
        assert client.dbsize() == 0


def test_servers_do_not_outlive_a_killed_test_run() -> None:
    argv = [sys.executable, "-c", ORPHAN_MAKER]
    with subprocess.Popen(argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        started = [run.stdout.readline().split() for _ in range(2)]
        run.send_signal(signal.SIGKILL)
        run.stdout.read()  # ends when the keeper does, which holds the other end of the pipe too
    for pid, folder in started:
        assert not Path(folder).exists()
        assert not is_running(int(pid))


def test_a_connection_that_would_leave_this_machine_fails() -> None:
    with socket.socket() as client, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        client.connect(("192.0.2.1", 80))
